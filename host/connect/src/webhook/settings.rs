//! The settings of the `http` sink as the job file has them.

use super::Webhook;
use super::signature::SigningKey;
use crate::requests::RequestSettings;
use crate::row_field;
use crate::secret::Secret;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;
use wasmill_stream::access::{Reach, WayOut};
use wasmill_stream::config::{Place, Problems, Section};
use wasmill_stream::field::FieldSpec;
use wasmill_stream::sink::Sink;
use wasmill_stream::units::{ByteCount, Period};

/// Headers that say how a request is sent, or that are ours.
const OWN: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
    "upgrade",
    "idempotency-key",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];
/// Headers whose values are secrets, as far as their names tell.
const SECRET: [&str; 6] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"];

/// What the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// A row.
    Row,
    /// A JSON array of rows.
    Array,
    /// A row on each line.
    Lines,
}

/// Checked settings.
#[derive(Debug)]
pub struct Settings {
    /// Where requests go.
    pub url: Url,
    /// The way that they take.
    pub way_out: Option<WayOut>,
    /// What their bodies are.
    pub body: Body,
    /// What they say beside their bodies. Values of secrets are marked as such.
    pub headers: HeaderMap,
    /// By which they are signed, if they are.
    pub key: Option<SigningKey>,
    /// A file of certificates to trust beside those of the system.
    pub ca: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Most rows of a request.
    pub batch_rows: usize,
    /// Most bytes of a request.
    pub batch_bytes: usize,
    /// How requests are sent.
    pub requests: RequestSettings,
    /// The field by which rows keep their order; absent: their key.
    pub order_by: Option<[FieldSpec; 2]>,
}

/// Reads a `[sink.…]` table of `type = "http"`.
pub fn check(_name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let url = check_url(section, problems);
    let body = check_body(section, problems);
    let (batch_rows, batch_bytes) = check_batch(body, section, problems);
    let settings = Settings {
        way_out: section.access().way_out(),
        body,
        headers: check_headers(body, section, problems),
        key: check_key(section, problems),
        ca: section.path("ca", problems),
        timeout: section.optional("timeout", problems).unwrap_or(Period::from_millis(30_000)).duration(),
        batch_rows,
        batch_bytes,
        requests: RequestSettings::check(NonZeroUsize::MIN, section, problems),
        order_by: row_field::check("order_by", section, problems),
        url: url?,
    };
    (problems.len() == before).then(|| Box::new(Webhook { settings }) as Box<dyn Sink>)
}

fn check_url(section: &mut Section<'_>, problems: &mut Problems) -> Option<Url> {
    let (text, place) = section.required_located::<String>("url", problems)?;
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    match url {
        Some(url) if !url.username().is_empty() || url.password().is_some() => {
            let message = format!("{}: `url` must be an address without a user name or password", section.title());
            problems.push_hint(
                place,
                message,
                "write secret_headers = { Authorization = \"${NAME}\" } and set NAME outside",
            );
            None
        }
        Some(url) => {
            section.reach(Reach::Server(&url.origin().ascii_serialization()), place, problems);
            Some(url)
        }
        // What is wrong may stand before a password, so the message does not quote it.
        None => {
            let message = format!("{}: `url` is not an address", section.title());
            problems.push_hint(place, message, "write it like \"https://host/path\"");
            None
        }
    }
}

fn check_body(section: &mut Section<'_>, problems: &mut Problems) -> Body {
    let Some((body, place)) = section.located::<String>("body", problems) else { return Body::Row };
    match body.as_str() {
        "row" => Body::Row,
        "array" => Body::Array,
        "lines" => Body::Lines,
        other => {
            let message = format!("{}: `body`: \"{other}\" is unknown", section.title());
            let hint = "one of \"row\" (one in a request), \"array\" (a JSON array), \"lines\" (a row on each line)";
            problems.push_hint(place, message, hint);
            Body::Row
        }
    }
}

fn check_batch(body: Body, section: &mut Section<'_>, problems: &mut Problems) -> (usize, usize) {
    let rows = section.located::<NonZeroUsize>("batch_rows", problems);
    let bytes = section.located::<ByteCount>("batch_bytes", problems);
    let place = rows.as_ref().map(|(_, place)| place).or(bytes.as_ref().map(|(_, place)| place));
    if let (Body::Row, Some(place)) = (body, place) {
        let message = format!("{}: `batch_rows` and `batch_bytes` need body = \"array\" or \"lines\"", section.title());
        problems.push(place.clone(), message);
    }
    let most = if body == Body::Row { 1 } else { rows.map_or(100, |(rows, _)| rows.get()) };
    (most, bytes.map_or(1 << 20, |(bytes, _)| usize::try_from(bytes.bytes()).unwrap_or(usize::MAX)))
}

fn check_headers(body: Body, section: &mut Section<'_>, problems: &mut Problems) -> HeaderMap {
    let kind = if body == Body::Lines { "application/x-ndjson" } else { "application/json" };
    let mut headers = HeaderMap::from_iter([(reqwest::header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
    if let Some((plain, place)) = section.located::<BTreeMap<String, String>>("headers", problems) {
        for (name, value) in plain {
            let lower = name.to_ascii_lowercase();
            if SECRET.contains(&lower.as_str()) {
                let message = format!("{}: `headers`: \"{name}\" is a secret", section.title());
                let hint = format!("write secret_headers = {{ {name} = \"${{NAME}}\" }} and set NAME outside");
                problems.push_hint(place.clone(), message, hint);
                continue;
            }
            headers.extend(check_header(&name, &value, "headers", place.clone(), section, problems));
        }
    }
    for (name, secret) in Secret::check_all("secret_headers", section, problems) {
        let place = section.place();
        let header = check_header(&name, secret.reveal(), "secret_headers", place, section, problems);
        headers.extend(header.map(|(name, mut value)| {
            value.set_sensitive(true);
            (name, value)
        }));
    }
    headers
}

/// A header; the message about a wrong one does not have its value in it.
fn check_header(
    name: &str,
    value: &str,
    key: &str,
    place: Place,
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<(HeaderName, HeaderValue)> {
    let header = HeaderName::try_from(name).ok().filter(|header| !OWN.contains(&header.as_str()));
    let Some(header) = header else {
        problems.push(place, format!("{}: `{key}`: \"{name}\" is no header that can be set", section.title()));
        return None;
    };
    match HeaderValue::try_from(value) {
        Ok(value) => Some((header, value)),
        Err(_) => {
            problems
                .push(place, format!("{}: `{key}`: \"{name}\" has a value that no header can have", section.title()));
            None
        }
    }
}

fn check_key(section: &mut Section<'_>, problems: &mut Problems) -> Option<SigningKey> {
    let secret = Secret::check("signing_secret", section, problems)?;
    let key = SigningKey::of(&secret);
    if key.is_none() {
        let message = format!("{}: `signing_secret` is empty, or no Base64 behind whsec_", section.title());
        problems.push(section.place(), message);
    }
    key
}
