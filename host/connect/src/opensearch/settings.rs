//! The settings of the `opensearch` sink as the job file has them.

use super::OpenSearch;
use crate::aws::{AwsSettings, check_endpoints};
use crate::retry::Patience;
use crate::secret::Secret;
use crate::time_pattern::TimePattern;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;
use wasmill_stream::access::WayOut;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::sink::Sink;
use wasmill_stream::units::{ByteCount, Period};

/// How requests prove who sends them.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all.
    None,
    /// User name and password.
    Basic(String, Secret),
    /// Signed for AWS: `es` is a domain, `aoss` a serverless collection.
    SigV4 {
        /// Which of the two.
        service: String,
        /// Region and credentials.
        aws: Box<AwsSettings>,
    },
}

/// Whether documents have ids of our choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// They have.
    Documents,
    /// Serverless time series and vector collections refuse them.
    WithoutIds,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The servers, each of which takes every request.
    pub endpoints: Vec<Url>,
    /// The index of a document by its event time.
    pub index: TimePattern,
    /// The way that requests take.
    pub way_out: Option<WayOut>,
    /// How requests prove who sends them.
    pub auth: Auth,
    /// How long to wait for the server at start.
    pub patience: Patience,
    /// A file of certificates to trust beside those of the system.
    pub ca: Option<PathBuf>,
    /// Whether documents have ids.
    pub collection: Collection,
    /// Whether `index` is a data stream; absent: what the server says, and an index if there is none yet.
    pub data_stream: Option<bool>,
    /// The `mappings` of the index, as JSON, if it has to be created.
    pub mappings: Option<String>,
    /// Most bytes of a request.
    pub batch_bytes: usize,
    /// Most documents of a request.
    pub batch_rows: usize,
    /// Most requests at once.
    pub concurrency: usize,
    /// Most bytes of requests that are on their way.
    pub in_flight_bytes: usize,
    /// How long a row may wait.
    pub flush_interval: Duration,
}

/// Reads a `[sink.…]` table of `type = "opensearch"`.
pub fn check(_name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let endpoints = check_endpoints(section, problems);
    if endpoints.is_empty() && problems.len() == before {
        problems.push(section.place(), format!("{}: `endpoint` is missing", section.title()));
    }
    let index = check_index(section, problems);
    let auth = check_auth(section, problems);
    let mappings = check_mappings(&index, section, problems);
    let settings = Settings {
        endpoints,
        way_out: section.access().way_out(),
        collection: check_collection(&auth, section, problems),
        data_stream: check_data_stream(mappings.is_some(), section, problems),
        mappings,
        index,
        auth,
        patience: Patience::check_start(section, problems),
        ca: section.path("ca", problems),
        batch_bytes: section.optional("batch_bytes", problems).unwrap_or(ByteCount::new(5 << 20)).bytes() as usize,
        batch_rows: section.optional("batch_rows", problems).unwrap_or(NonZeroUsize::MIN.saturating_add(999)).get(),
        concurrency: section.optional("concurrency", problems).unwrap_or(NonZeroUsize::MIN.saturating_add(7)).get(),
        in_flight_bytes: section.optional("in_flight_bytes", problems).unwrap_or(ByteCount::new(32 << 20)).bytes()
            as usize,
        flush_interval: section.optional("flush_interval", problems).unwrap_or(Period::from_millis(1_000)).duration(),
    };
    (problems.len() == before).then(|| Box::new(OpenSearch { settings }) as Box<dyn Sink>)
}

fn check_index(section: &mut Section<'_>, problems: &mut Problems) -> TimePattern {
    let empty = TimePattern::default();
    let Some((text, place)) = section.required_located::<String>("index", problems) else { return empty };
    let pattern = match TimePattern::parse(&text) {
        Ok(pattern) => pattern,
        Err(message) => {
            problems.push(place, format!("{}: `index`: {message}", section.title()));
            return empty;
        }
    };
    let name = pattern.at(0);
    let forbidden = |c: char| c.is_uppercase() || c.is_whitespace() || "\\/*?\"<>|,#:".contains(c);
    if name.is_empty() || name.starts_with(['-', '_', '+']) || name.contains(forbidden) {
        let message = format!("{}: `index`: \"{name}\" cannot be the name of an index", section.title());
        problems.push_hint(place, message, "lower-case letters, digits, - _ and ., beginning with a letter or digit");
    }
    pattern
}

fn check_auth(section: &mut Section<'_>, problems: &mut Problems) -> Auth {
    let Some((kind, place)) = section.located::<String>("auth", problems) else { return Auth::None };
    match kind.as_str() {
        "none" => Auth::None,
        "basic" => {
            let user = section.required("username", problems);
            let password = Secret::check("password", section, problems);
            if let (Some(user), Some(password)) = (user, password) {
                return Auth::Basic(user, password);
            }
            problems.push(place, format!("{}: auth = \"basic\" needs `username` and `password`", section.title()));
            Auth::None
        }
        "sigv4" => {
            let service = section.located::<String>("service", problems).unwrap_or(("es".to_owned(), place));
            if !matches!(service.0.as_str(), "es" | "aoss") {
                let message = format!("{}: `service`: expected \"es\" or \"aoss\"", section.title());
                problems.push_hint(service.1, message, "\"es\" is a domain, \"aoss\" a serverless collection");
            }
            Auth::SigV4 { service: service.0, aws: Box::new(AwsSettings::check(section, problems)) }
        }
        other => {
            let message = format!("{}: `auth`: \"{other}\" is unknown", section.title());
            problems.push_hint(place, message, "one of \"none\", \"basic\", \"sigv4\"");
            Auth::None
        }
    }
}

fn check_collection(auth: &Auth, section: &mut Section<'_>, problems: &mut Problems) -> Collection {
    let Some((kind, place)) = section.located::<String>("collection", problems) else { return Collection::Documents };
    if !matches!(auth, Auth::SigV4 { service, .. } if service == "aoss") {
        problems.push(place.clone(), format!("{}: `collection` needs service = \"aoss\"", section.title()));
    }
    match kind.as_str() {
        "search" => Collection::Documents,
        "time-series" | "vector" => Collection::WithoutIds,
        other => {
            let message = format!("{}: `collection`: \"{other}\" is unknown", section.title());
            problems.push_hint(place, message, "one of \"search\", \"time-series\", \"vector\"");
            Collection::Documents
        }
    }
}

fn check_data_stream(has_mappings: bool, section: &mut Section<'_>, problems: &mut Problems) -> Option<bool> {
    let (wanted, place) = section.located::<bool>("data_stream", problems)?;
    if wanted && has_mappings {
        let message = format!("{}: `mappings` are not for a data stream", section.title());
        problems.push_hint(place, message, "put them into the index template that makes it a data stream");
    }
    Some(wanted)
}

fn check_mappings(index: &TimePattern, section: &mut Section<'_>, problems: &mut Problems) -> Option<String> {
    let mappings = section.table("mappings", problems)?;
    if !index.is_literal() {
        let message = format!("{}: `mappings` needs an `index` without a time pattern", section.title());
        problems.push_hint(mappings.place(), message, "put the mappings into an index template on the server");
    }
    Some(mappings.into_foreign(problems).json.to_string())
}
