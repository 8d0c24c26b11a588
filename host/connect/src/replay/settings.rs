//! The settings of the replay source, as typed and checked. Nothing here touches the disk.

use super::csv::Kind;
use super::files::{Files, Format};
use super::taxi::{self, Trips};
use super::{Markers, Replay, What};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::field::{FieldSpec, FieldType};
use wasmill_stream::source::Source;
use wasmill_stream::time::TimeFormat;
use wasmill_stream::units::Period;

const MAX_SPLITS: usize = 512;

/// Reads the settings of a replay source.
///
/// * `path`: a file, a folder (its files in the order of their names) or a list of both; `.gz` files are unpacked.
///   `format` = `"json"` (lines) or `"csv"` (with a header; by default from the file name), `columns` = `{ NAME = "string" }`
///   or `"bool"` where a CSV cell's type is not to be guessed, `limit` = how many records.
/// * or `generate` = `"taxi"`: made-up trips; `trips` (without end by default), `seed`, `rate` (10 trips per second of event
///   time), `start` (2013-01-01).
/// * `splits` (1): over how many splits records are dealt, in turn or by the field `partition_by`.
/// * `speedup`: how many times faster than the event time in the field `time`; by default `"max"`, as fast as it goes.
/// * `markers` (false): a watermark record in every split per `marker_interval` (10 s) of event time, so much behind as
///   records may be out of order: `marker_disorder` (60 s, for trips 30 s).
pub fn check(name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Source>> {
    let before = problems.len();
    let what = what(section, problems);
    let splits = splits(section, problems);
    let generated = matches!(what, Some(What::Taxi(_)));
    let speedup = section.optional::<Speedup>("speedup", problems).and_then(|speedup| speedup.0);
    let partition_by = field(section, "partition_by", "string", problems);
    let markers = markers(section, generated, problems);
    let mut time = field(section, "time", "time", problems);
    if generated && time.is_none() {
        time = taxi::EVENT_TIME.parse().ok();
    }
    if time.is_none() && (speedup.is_some() || markers.is_some()) {
        let message = format!("{}: `speedup` and `markers` need `time`", section.title());
        problems.push_hint(section.place(), message, "say which field has the event time: time = \"/FIELD: time\"");
    }
    let what = what?;
    let replay = Replay { name: name.to_owned(), what, splits, time, speedup, partition_by, markers };
    (problems.len() == before).then(|| Box::new(replay) as Box<dyn Source>)
}

fn what(section: &mut Section<'_>, problems: &mut Problems) -> Option<What> {
    let before = problems.len();
    let paths = section.located::<Paths>("path", problems);
    let generate = section.located::<Generate>("generate", problems);
    match (paths, generate) {
        (Some((Paths(paths), place)), None) => {
            if paths.is_empty() {
                problems.push(place.clone(), format!("{}: `path` names no file", section.title()));
            }
            let resolve = |path| section.resolve(path, place.clone(), problems);
            let paths = paths.into_iter().filter_map(resolve).collect();
            Some(What::Files(Files {
                paths,
                format: section.optional::<Format>("format", problems),
                columns: section.optional::<BTreeMap<String, Kind>>("columns", problems).unwrap_or_default(),
                limit: section.optional("limit", problems),
            }))
        }
        (None, Some((Generate::Taxi, _))) => trips(section, problems).map(What::Taxi),
        (Some(_), Some((_, place))) => {
            problems.push(place, format!("{}: `path` and `generate` exclude each other", section.title()));
            None
        }
        (None, None) if problems.len() > before => None,
        (None, None) => {
            let message = format!("{}: `path` is missing", section.title());
            problems.push_hint(section.place(), message, "give files to play, or generate = \"taxi\"");
            None
        }
    }
}

fn trips(section: &mut Section<'_>, problems: &mut Problems) -> Option<Trips> {
    let trips = section.optional("trips", problems);
    let seed = section.optional("seed", problems).unwrap_or(1);
    let rate = section.located::<f64>("rate", problems);
    let start = section.located::<String>("start", problems);
    let (mut trips_per_second, mut first) = (taxi::DEFAULT_RATE, taxi::DEFAULT_START);
    if let Some((rate, place)) = rate {
        trips_per_second = rate;
        if !(taxi::RATES.contains(&rate)) {
            let (least, most) = (taxi::RATES.start(), taxi::RATES.end());
            let message = format!("{}: `rate` is {rate} trips per second of event time", section.title());
            problems.push_hint(place, message, format!("it must be between {least} and {most}"));
        }
    }
    if let Some((start, place)) = start {
        match TimeFormat::Iso8601.parse(start.as_bytes()) {
            Some(millis) => first = millis,
            None => {
                let message = format!("{}: `start` is not a time: \"{start}\"", section.title());
                problems.push_hint(place, message, "write it like \"2013-01-01T00:00:00Z\"");
            }
        }
    }
    Some(Trips::new(trips, seed, trips_per_second, first))
}

fn splits(section: &mut Section<'_>, problems: &mut Problems) -> usize {
    let Some((splits, place)) = section.located::<usize>("splits", problems) else { return 1 };
    if !(1..=MAX_SPLITS).contains(&splits) {
        problems.push(place, format!("{}: `splits` is {splits}, not between 1 and {MAX_SPLITS}", section.title()));
    }
    splits
}

fn markers(section: &mut Section<'_>, generated: bool, problems: &mut Problems) -> Option<Markers> {
    let wanted = section.optional("markers", problems).unwrap_or(false);
    let interval = section.located::<Period>("marker_interval", problems);
    let disorder = section.located::<Period>("marker_disorder", problems);
    if !wanted {
        for (_, place) in interval.into_iter().chain(disorder) {
            problems.push(place, format!("{}: this needs `markers = true`", section.title()));
        }
        return None;
    }
    if let Some((interval, place)) = &interval
        && interval.millis() == 0
    {
        problems.push(place.clone(), format!("{}: `marker_interval` must be longer than 0", section.title()));
    }
    let default_disorder = if generated { taxi::DISORDER } else { Period::from_millis(60_000) };
    let interval = interval.map_or(Period::from_millis(10_000), |(interval, _)| interval);
    Some(Markers::new(interval, disorder.map_or(default_disorder, |(disorder, _)| disorder)))
}

/// A field spec; one without a type has the usual one of this setting.
fn field(section: &mut Section<'_>, key: &'static str, usual: &str, problems: &mut Problems) -> Option<FieldSpec> {
    let (text, place) = section.located::<String>(key, problems)?;
    let with_type = if text.contains(':') { text } else { format!("{text}: {usual}") };
    match with_type.parse::<FieldSpec>() {
        Ok(spec) if key != "time" || matches!(spec.kind, FieldType::Time(_)) => Some(spec),
        Ok(_) => {
            let message = format!("{}: `{key}` must have the type time", section.title());
            problems.push_hint(place, message, "write \"/FIELD: time\"");
            None
        }
        Err(message) => {
            problems.push(place, format!("{}: `{key}`: {message}", section.title()));
            None
        }
    }
}

/// One path or several.
struct Paths(Vec<PathBuf>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;
        impl<'de> Visitor<'de> for Expected {
            type Value = Paths;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or a list of paths")
            }
            fn visit_str<E: de::Error>(self, path: &str) -> Result<Paths, E> {
                Ok(Paths(vec![path.into()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Paths, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element::<PathBuf>()? {
                    paths.push(path);
                }
                Ok(Paths(paths))
            }
        }
        deserializer.deserialize_any(Expected)
    }
}

/// How many times faster than event time; `None` is `"max"`.
struct Speedup(Option<f64>);

impl<'de> Deserialize<'de> for Speedup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;
        impl Visitor<'_> for Expected {
            type Value = Speedup;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number above 0 or \"max\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Speedup, E> {
                match text {
                    "max" => Ok(Speedup(None)),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Speedup, E> {
                self.visit_f64(number as f64)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Speedup, E> {
                if number > 0.0 && number.is_finite() {
                    Ok(Speedup(Some(number)))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(number), &self))
                }
            }
        }
        deserializer.deserialize_any(Expected)
    }
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Generate {
    Taxi,
}
