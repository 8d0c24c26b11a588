//! The settings of the `opensearch` sink as the job file has them.

use super::OpenSearch;
use super::creation::Creation;
use super::identity::IdentityFields;
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

/// What is asked of the server for a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// That it takes the place of the one with its id.
    Index,
    /// That it is written unless there is one with its id.
    Create,
    /// That its members take the place of those of the one with its id.
    Update,
    /// The same, and that it is written if there is none.
    Upsert,
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
    /// What the index is like, if it has to be created.
    pub creation: Creation,
    /// What is asked for; absent: what the index takes.
    pub verb: Option<Verb>,
    /// Where rows have ids and versions of their own.
    pub identity: IdentityFields,
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
    let collection = check_collection(&auth, section, problems);
    let data_stream = section.optional("data_stream", problems);
    let verb = check_verb(collection, data_stream, section, problems);
    let settings = Settings {
        endpoints,
        way_out: section.access().way_out(),
        collection,
        data_stream,
        creation: Creation::check(&index, data_stream, section, problems),
        identity: check_identity(verb, collection, data_stream, section, problems),
        verb,
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

/// How documents are to be written. Whether the server agrees shows when the sink opens.
fn check_verb(
    collection: Collection,
    data_stream: Option<bool>,
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Option<Verb> {
    let (verb, place) = section.located::<String>("action", problems)?;
    let verb = match verb.as_str() {
        "index" => Verb::Index,
        "create" => Verb::Create,
        "update" => Verb::Update,
        "upsert" => Verb::Upsert,
        other => {
            let message = format!("{}: `action`: \"{other}\" is unknown", section.title());
            problems.push_hint(place, message, "one of \"index\", \"create\", \"update\", \"upsert\"");
            return None;
        }
    };
    if verb != Verb::Create && data_stream == Some(true) {
        let message = format!("{}: a data stream takes action = \"create\" only", section.title());
        problems.push(place.clone(), message);
    }
    if verb != Verb::Index && collection == Collection::WithoutIds {
        let message = format!("{}: a collection without ids takes action = \"index\" only", section.title());
        problems.push(place, message);
    }
    Some(verb)
}

/// The fields with ids and versions, where these make sense.
fn check_identity(
    verb: Option<Verb>,
    collection: Collection,
    data_stream: Option<bool>,
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> IdentityFields {
    let identity = IdentityFields::check(section, problems);
    if identity.id.is_some() && collection == Collection::WithoutIds {
        problems.push(section.place(), format!("{}: `id` is not for a collection without ids", section.title()));
    }
    let is_index = matches!(verb, None | Some(Verb::Index)) && data_stream != Some(true);
    if identity.version.is_some() && (identity.id.is_none() || !is_index) {
        let message = format!("{}: `version` needs `id` and action = \"index\"", section.title());
        problems.push_hint(section.place(), message, "the server compares versions only of documents that it replaces");
    }
    identity
}
