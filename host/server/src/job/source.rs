//! A table `[source.NAME]`: what every source has (event time, watermark, decoder) is read here, the rest by its kind.

use super::JobFile;
use super::draft::{DraftNode, PluginUse, Role, Settings, SourceSettings};
use super::step::read_plugin;
use serde::de::{Deserialize, Deserializer, Error as _};
use wasmill_connect::{SOURCES, SourceKind};
use wasmill_stream::access::Reach;
use wasmill_stream::config::{Place, Problems, Section, strsim_best};
use wasmill_stream::field::FieldSpec;
use wasmill_stream::field::spec::FieldType;
use wasmill_stream::units::Period;
use wasmill_stream::watermark::{EventTime, Strategy, WatermarkSpec};

/// Reads it.
pub fn read(file: &JobFile, name: String, mut table: Section<'_>, problems: &mut Problems) -> DraftNode {
    let place = table.place();
    let decoder = table.table("decoder", problems).map(|mut table| {
        let decoder = read_plugin(file, &mut table, problems);
        table.finish(problems);
        decoder
    });
    let time = read_time(&mut table, decoder.is_some(), problems);
    let watermark = table.table("watermark", problems).map(|table| read_watermark(table, problems));
    let kind = kind(&mut table, problems);
    let source = kind.and_then(|kind| Some((kind.name, (kind.check)(&name, &mut table, problems)?)));
    // Without a kind nobody has asked for the keys of that kind, and all would be called unknown.
    if kind.is_some() {
        table.finish(problems);
    }
    let settings = settings(source, decoder, time, watermark);
    DraftNode { name, place, role: Role::Source, inputs: Vec::new(), settings }
}

fn settings(
    source: Option<(&'static str, Box<dyn wasmill_stream::source::Source>)>,
    decoder: Option<Option<PluginUse>>,
    time: Option<EventTime>,
    watermark: Option<Option<WatermarkSpec>>,
) -> Option<Settings> {
    let (kind, source) = source?;
    let decoder = match decoder {
        Some(decoder) => Some(decoder?),
        None => None,
    };
    let watermark = match watermark {
        Some(watermark) => watermark?,
        None => WatermarkSpec::default(),
    };
    Some(Settings::Source(SourceSettings { kind, source, decoder, time: time?, watermark }))
}

fn kind(table: &mut Section<'_>, problems: &mut Problems) -> Option<&'static SourceKind> {
    let (wanted, place) = table.required_located::<String>("type", problems)?;
    let found = SOURCES.iter().find(|kind| kind.name == wanted);
    if found.is_some() {
        table.reach(Reach::Source(&wanted), place.clone(), problems);
    }
    if found.is_none() {
        unknown_kind(table, &wanted, place, SOURCES.iter().map(|kind| kind.name), problems);
    }
    found
}

/// Reports a `type` that is not in a list.
pub fn unknown_kind(
    table: &Section<'_>,
    wanted: &str,
    place: Place,
    known: impl Iterator<Item = &'static str> + Clone,
    problems: &mut Problems,
) {
    let hint = match strsim_best(wanted, known.clone()) {
        Some(best) => format!("did you mean `{best}`?"),
        None => format!("known types: {}", known.collect::<Vec<_>>().join(", ")),
    };
    problems.push_hint(place, format!("{}: there is no type `{wanted}`", table.title()), hint);
}

// === event time ===

const TIME_HINT: &str = "a field such as \"/timestamp: time\", \"decoder\", or \"arrival\"";

fn read_time(table: &mut Section<'_>, has_decoder: bool, problems: &mut Problems) -> Option<EventTime> {
    let before = problems.len();
    let Some((text, place)) = table.located::<String>("event_time", problems) else {
        if problems.len() == before {
            let message = format!("{}: `event_time` is missing", table.title());
            problems.push_hint(table.place(), message, format!("it is {TIME_HINT}"));
        }
        return None;
    };
    let time = match text.as_str() {
        "arrival" => Ok(EventTime::Arrival),
        "decoder" if has_decoder => Ok(EventTime::Plugin),
        "decoder" => Err("there is no `decoder` that could set it".to_owned()),
        field if field.starts_with('/') => time_field(field),
        other => Err(format!("expected {TIME_HINT}, found \"{other}\"")),
    };
    time.map_err(|error| problems.push(place, format!("{}: `event_time`: {error}", table.title()))).ok()
}

fn time_field(text: &str) -> Result<EventTime, String> {
    let field: FieldSpec = text.parse()?;
    if !matches!(field.kind, FieldType::Time(_)) {
        return Err(format!("the field must be of type `time`, as in \"/timestamp: time\", found \"{text}\""));
    }
    if field.optional {
        return Err("the field may not be optional: a row without an event time belongs nowhere".to_owned());
    }
    Ok(EventTime::Field(field))
}

// === watermark ===

/// `"30s"`, or `"never"`.
struct Idle(Option<Period>);

impl<'de> Deserialize<'de> for Idle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "never" => Ok(Self(None)),
            period => period.parse().map(|period| Self(Some(period))).map_err(D::Error::custom),
        }
    }
}

fn read_watermark(mut table: Section<'_>, problems: &mut Problems) -> Option<WatermarkSpec> {
    let before = problems.len();
    let mut spec = WatermarkSpec::default();
    let disorder = table.located::<Period>("disorder", problems);
    let markers = table.optional::<bool>("markers", problems).unwrap_or(false);
    match (disorder, markers) {
        (Some((_, place)), true) => {
            problems.push(place, format!("{}: `disorder` and `markers` exclude each other", table.title()));
        }
        (None, true) => spec.strategy = Strategy::Markers,
        (Some((period, _)), false) => spec.strategy = Strategy::BoundedDisorder(period),
        (None, false) => {}
    }
    if let Some(Idle(idle)) = table.optional("idle", problems) {
        spec.idle_timeout = idle;
    }
    if let Some(future) = table.optional("max_future", problems) {
        spec.max_future = future;
    }
    table.finish(problems);
    (problems.len() == before).then_some(spec)
}
