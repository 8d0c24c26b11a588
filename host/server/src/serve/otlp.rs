//! Metrics that are pushed, to a collector of OpenTelemetry: over HTTP, as JSON, every so often. Each request has all of them, so one
//! that is lost is not sent again.

use super::api::relay;
use super::fleet::Fleet;
use super::metrics;
use crate::terminal::Terminal;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use wasmill_stream::units::Period;
use wasmill_stream::{Error, Result};

/// A collector has so long to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Headers for the collector, such as a key, as OpenTelemetry's own programs read them: `name=value,name=value`.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// The table `[otlp]` of `host.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpSettings {
    /// The collector, such as `http://127.0.0.1:4318`; `/v1/metrics` is added.
    pub endpoint: String,
    /// How often, such as `10s`.
    #[serde(default = "ten_seconds")]
    pub interval: String,
}

fn ten_seconds() -> String {
    "10s".to_owned()
}

/// Pushes the metrics of a host.
pub struct Push {
    client: Client,
    url: Url,
    interval: Duration,
    fleet: Arc<Fleet>,
    terminal: Terminal,
}

impl Push {
    /// As the settings say, with the headers of the environment.
    pub fn new(settings: &OtlpSettings, fleet: Arc<Fleet>, terminal: Terminal) -> Result<Self> {
        let wrong = |what: &str, why: &str| Error::invalid(format!("host.toml: `{what}` of [otlp]: {why}"));
        let url = format!("{}/v1/metrics", settings.endpoint.trim_end_matches('/'));
        let url = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| wrong("endpoint", "expected a URL such as http://127.0.0.1:4318"))?;
        let interval = settings.interval.parse().map(|period: Period| period.duration()).ok();
        let interval = interval.filter(|interval| !interval.is_zero());
        let interval = interval.ok_or_else(|| wrong("interval", "expected a time such as 10s"))?;
        let headers = headers(&std::env::var(HEADERS).unwrap_or_default())?;
        let client = Client::builder().timeout(PATIENCE).redirect(Policy::none()).default_headers(headers).build();
        let client = client.map_err(|error| Error::internal("make an HTTP client").with_source(error))?;
        Ok(Self { client, url, interval, fleet, terminal })
    }

    /// Pushes until this is dropped. Says once that it cannot, and once that it can again.
    pub async fn run(self) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut fails = false;
        loop {
            ticks.tick().await;
            let pushed = self.push().await;
            match &pushed {
                Err(error) if !fails => self.terminal.error(&error.report()),
                Ok(()) if fails => self.terminal.note(&format!("metrics go to {} again", self.url)),
                _ => {}
            }
            fails = pushed.is_err();
        }
    }

    async fn push(&self) -> Result<()> {
        let failed = || Error::unavailable(format!("push metrics to {}", self.url));
        let others = relay::families(&self.fleet.processes()).await;
        let tenants = relay::tenants(&self.fleet, self.fleet.tenants()).await;
        let body = metrics::otlp(self.fleet.jobs(), &tenants, others).to_string();
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.map_err(|error| failed().with_source(error.without_url()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(failed().context(format!("status {status}"))),
        }
    }
}

/// Reads `name=value,name=value`.
fn headers(text: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        // Values may be secrets: they are not repeated.
        let wrong = || Error::invalid(format!("{HEADERS}: expected name=value,name=value"));
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers as others write them → read; what is none is refused, and its value not repeated.
    #[test]
    fn headers_of_the_environment() {
        let read = headers("api-key=a=b, X-Scope = acme ,").expect("headers");
        assert_eq!((read["api-key"].as_bytes(), read["x-scope"].as_bytes()), (&b"a=b"[..], &b"acme"[..]));
        let error = headers("api key=secret").expect_err("a name with a space").to_string();
        assert!(error.contains(HEADERS) && !error.contains("secret"), "{error}");
    }
}
