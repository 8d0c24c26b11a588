//! The settings of the `cloudwatch` sink as the job file has them.

use super::CloudWatch;
use crate::aws::ServiceSettings;
use crate::requests::RequestSettings;
use crate::template::{Fields, Template};
use aws_sdk_cloudwatch::types::StandardUnit;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use wasmill_stream::access::Reach;
use wasmill_stream::config::{Place, Problems, Section};
use wasmill_stream::field::FieldSpec;
use wasmill_stream::sink::Sink;

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>, as the other rules here.
const MOST_DIMENSIONS: usize = 30;
/// Characters of names of namespaces, metrics and dimensions.
pub const NAME_CHARS: usize = 255;
/// So many series unless the job file says something else: each costs money, every hour.
const MOST_SERIES: usize = 1_000;

/// Checked settings.
#[derive(Debug)]
pub struct Settings {
    /// The namespace.
    pub namespace: String,
    /// Which server it is on, and who asks.
    pub service: ServiceSettings,
    /// How requests are sent.
    pub requests: RequestSettings,
    /// Whether large requests are zipped.
    pub gzip: bool,
    /// What becomes of a row.
    pub rows: RowSettings,
}

/// What of a row becomes what of a data point.
#[derive(Debug)]
pub struct RowSettings {
    /// The fields that are read, which the others name by number.
    pub fields: Fields,
    /// The name of the metric.
    pub metric: Option<Template>,
    /// Where the value is.
    pub value: FieldSpec,
    /// What the value counts.
    pub unit: StandardUnit,
    /// Dimensions by name.
    pub dimensions: Vec<(String, usize)>,
    /// Seconds that a data point stands for, 1 or 60.
    pub resolution: i64,
    /// Most series; rows of further ones count as `other`.
    pub max_series: usize,
    /// Whether only count, sum, least and greatest value are sent, and not the values.
    pub is_set: bool,
}

/// Reads a `[sink.…]` table of `type = "cloudwatch"`.
pub fn check(_name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let settings = Settings {
        namespace: check_namespace(section, problems),
        service: ServiceSettings::check(None, section, problems),
        requests: RequestSettings::check(NonZeroUsize::MIN.saturating_add(3), section, problems),
        gzip: section.optional("gzip", problems).unwrap_or(true),
        rows: check_rows(section, problems)?,
    };
    (problems.len() == before).then(|| Box::new(CloudWatch { settings }) as Box<dyn Sink>)
}

fn check_namespace(section: &mut Section<'_>, problems: &mut Problems) -> String {
    let Some((name, place)) = section.required_located::<String>("namespace", problems) else { return String::new() };
    section.reach(Reach::Namespace(&name), place.clone(), problems);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#: ".contains(&byte);
    let is_name = (1..=NAME_CHARS).contains(&name.len()) && name.bytes().all(fits) && !name.trim().is_empty();
    if !is_name || name.starts_with(':') || name.starts_with("AWS/") {
        let message = format!("{}: `namespace`: \"{name}\" cannot be the namespace of metrics", section.title());
        let hint = "1 to 255 letters, digits and any of . - _ / # : and space, not beginning with \":\" or \"AWS/\"";
        problems.push_hint(place, message, hint);
    }
    name
}

/// `None`: the value is missing, which is a problem.
fn check_rows(section: &mut Section<'_>, problems: &mut Problems) -> Option<RowSettings> {
    let mut fields = Fields::default();
    let metric = Template::check_required("metric", &mut fields, section, problems);
    let unit = check_unit(section, problems);
    let dimensions = check_dimensions(&mut fields, section, problems);
    let resolution = check_choice("resolution", 60, &[1, 60], section, problems);
    let max_series = section.optional("max_series", problems).map_or(MOST_SERIES, NonZeroUsize::get);
    let is_set =
        check_choice("statistics", "values".to_owned(), &["values".to_owned(), "set".to_owned()], section, problems)
            == "set";
    let value = check_value(section, problems)?;
    Some(RowSettings { fields, metric, value, unit, dimensions, resolution, max_series, is_set })
}

fn check_value(section: &mut Section<'_>, problems: &mut Problems) -> Option<FieldSpec> {
    let (pointer, place) = section.required_located::<String>("value", problems)?;
    match format!("{pointer}: f64").parse() {
        Ok(field) => Some(field),
        Err(message) => {
            let message: String = message;
            problem(
                section,
                problems,
                place,
                &format!("`value`: {}", message.replace(": f64", "")),
                "write it like \"/temperature\"",
            );
            None
        }
    }
}

fn check_unit(section: &mut Section<'_>, problems: &mut Problems) -> StandardUnit {
    let Some((text, place)) = section.located::<String>("unit", problems) else { return StandardUnit::None };
    let found = StandardUnit::values().iter().find(|unit| **unit == text);
    if found.is_none() {
        let near = wasmill_stream::config::strsim_best(&text, StandardUnit::values().iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("one of {}", StandardUnit::values().join(", ")),
        };
        problem(section, problems, place, &format!("`unit`: CloudWatch has no unit \"{text}\""), &hint);
    }
    found.map_or(StandardUnit::None, |unit| StandardUnit::from(*unit))
}

/// Dimensions, `{ NAME = "/field" }`.
fn check_dimensions(fields: &mut Fields, section: &mut Section<'_>, problems: &mut Problems) -> Vec<(String, usize)> {
    let Some((named, place)) = section.located::<BTreeMap<String, String>>("dimensions", problems) else {
        return Vec::new();
    };
    if named.len() > MOST_DIMENSIONS {
        let what = format!("`dimensions`: a metric has at most {MOST_DIMENSIONS}, found {}", named.len());
        problem(section, problems, place.clone(), &what, "leave out those by which nobody asks");
    }
    let mut dimensions = Vec::new();
    for (name, pointer) in named {
        let is_name = is_name(&name) && !name.starts_with(':');
        match fields.number(&pointer) {
            Ok(field) if is_name => dimensions.push((name, field)),
            Ok(_) => {
                let what = format!("`dimensions`: \"{name}\" is no name of a dimension");
                problem(section, problems, place.clone(), &what, "1 to 255 ASCII characters, not beginning with \":\"");
            }
            Err(message) => {
                let what = format!("`dimensions`: {message}");
                problem(section, problems, place.clone(), &what, "write them like { station = \"/station\" }");
            }
        }
    }
    dimensions
}

/// Whether the service takes a text for the name of a metric or a dimension.
pub fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS).contains(&name.len())
        && name.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !name.trim().is_empty()
}

/// A setting that is one of a few values.
fn check_choice<T>(
    key: &'static str,
    default: T,
    choices: &[T],
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> T
where
    T: serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let Some((value, place)) = section.located::<T>(key, problems) else { return default };
    if !choices.contains(&value) {
        let all: Vec<_> = choices.iter().map(|choice| format!("{choice:?}")).collect();
        problem(section, problems, place, &format!("`{key}`: found {value:?}"), &format!("one of {}", all.join(", ")));
    }
    value
}

fn problem(section: &Section<'_>, problems: &mut Problems, place: Place, what: &str, hint: &str) {
    problems.push_hint(place, format!("{}: {what}", section.title()), hint);
}
