//! The settings of the `sns` sink as the job file has them.

use super::Sns;
use super::condition::Condition;
use crate::aws::{ServiceSettings, is_region};
use crate::requests::RequestSettings;
use crate::template::{Fields, Template};
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use wasmill_stream::access::Reach;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::sink::Sink;

/// Checked settings.
#[derive(Debug)]
pub struct Settings {
    /// The ARN of the topic.
    pub topic: String,
    /// Which server it is on, and who asks.
    pub service: ServiceSettings,
    /// How requests are sent.
    pub requests: RequestSettings,
    /// Most messages a second, and at once.
    pub rate: Option<(f64, u32)>,
    /// What becomes of a row.
    pub rows: RowSettings,
}

/// What of a row becomes what of a message.
#[derive(Debug, Default)]
pub struct RowSettings {
    /// The fields that are read, which the others name by number.
    pub fields: Fields,
    /// What a row has to be like.
    pub filter: Vec<Condition>,
    /// The subject.
    pub subject: Option<Template>,
    /// What it says; absent: the row.
    pub message: Option<Template>,
    /// Attributes by name.
    pub attributes: Vec<(String, usize)>,
    /// Whether the topic is a FIFO topic.
    pub is_fifo: bool,
    /// Where the group id is.
    pub group: Option<usize>,
    /// Where the deduplication id is; absent: it follows from where the row came from.
    pub dedup: Option<usize>,
}

/// Reads a `[sink.…]` table of `type = "sns"`.
pub fn check(_name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let (topic, region) = check_topic(section, problems).unwrap_or_default();
    let settings = Settings {
        service: ServiceSettings::check(Some(region).filter(|region| !region.is_empty()), section, problems),
        requests: RequestSettings::check(NonZeroUsize::MIN.saturating_add(3), section, problems),
        rate: check_rate(section, problems),
        rows: check_rows(topic.ends_with(".fifo"), section, problems),
        topic,
    };
    (problems.len() == before).then(|| Box::new(Sns { settings }) as Box<dyn Sink>)
}

/// The topic and its region.
fn check_topic(section: &mut Section<'_>, problems: &mut Problems) -> Option<(String, String)> {
    let (arn, place) = section.required_located::<String>("topic", problems)?;
    section.reach(Reach::Topic(&arn), place.clone(), problems);
    match arn.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "sns", region, _, name] if is_region(region) && !name.is_empty() => {
            let region = (*region).to_owned();
            Some((arn, region))
        }
        _ => {
            let message = format!("{}: `topic`: \"{arn}\" is not the ARN of a topic", section.title());
            problems.push_hint(place, message, "expected arn:aws:sns:REGION:ACCOUNT:NAME");
            None
        }
    }
}

/// Messages a second: `rate = 5`, and `burst` of them at once.
fn check_rate(section: &mut Section<'_>, problems: &mut Problems) -> Option<(f64, u32)> {
    let rate = section.located::<f64>("rate", problems);
    let burst = section.located::<NonZeroU32>("burst", problems);
    match (rate, burst) {
        (Some((rate, place)), _) if !(rate.is_finite() && rate > 0.0) => {
            let message =
                format!("{}: `rate` must be a number of messages a second above 0, found {rate}", section.title());
            problems.push(place, message);
            None
        }
        (Some((rate, _)), burst) => Some((rate, burst.map_or(rate.ceil() as u32, |(burst, _)| burst.get()))),
        (None, Some((_, place))) => {
            problems.push(place, format!("{}: `burst` needs `rate`", section.title()));
            None
        }
        (None, None) => None,
    }
}

fn check_rows(is_fifo: bool, section: &mut Section<'_>, problems: &mut Problems) -> RowSettings {
    let mut fields = Fields::default();
    let mut filter = Vec::new();
    if let Some((texts, place)) = section.located::<Vec<String>>("filter", problems) {
        for text in texts {
            match Condition::parse(&text, &mut fields) {
                Ok(condition) => filter.push(condition),
                Err(message) => {
                    let message = format!("{}: `filter`: {message}", section.title());
                    problems.push_hint(place.clone(), message, Condition::EXPECTED);
                }
            }
        }
    }
    let subject = Template::check("subject", &mut fields, section, problems);
    let message = Template::check("message", &mut fields, section, problems);
    let attributes = check_attributes(&mut fields, section, problems);
    let [group, dedup] = ["group_id", "dedup_id"].map(|key| fields.check(key, section, problems));
    if !is_fifo && (group.is_some() || dedup.is_some()) {
        let message = format!("{}: `group_id` and `dedup_id` are for FIFO topics", section.title());
        problems.push_hint(section.place(), message, "the name of a FIFO topic ends with \".fifo\"");
    }
    RowSettings { fields, filter, subject, message, attributes, is_fifo, group, dedup }
}

/// Attributes, `{ NAME = "/field" }`.
fn check_attributes(fields: &mut Fields, section: &mut Section<'_>, problems: &mut Problems) -> Vec<(String, usize)> {
    let Some((named, place)) = section.located::<BTreeMap<String, String>>("attributes", problems) else {
        return Vec::new();
    };
    let mut attributes = Vec::new();
    for (name, pointer) in named {
        let wrong = match fields.number(&pointer) {
            Ok(_) if !is_attribute(&name) => format!("\"{name}\" is no name of an attribute"),
            Ok(field) => {
                attributes.push((name, field));
                continue;
            }
            Err(message) => message,
        };
        let message = format!("{}: `attributes`: {wrong}", section.title());
        let hint = "write them like { severity = \"/severity\" }: letters, digits, \"_\", \"-\" and single \".\" inside, not \
                    beginning with \"AWS.\" or \"Amazon.\"";
        problems.push_hint(place.clone(), message, hint);
    }
    attributes
}

/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>
fn is_attribute(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=256).contains(&name.len())
        && name.bytes().all(fits)
        && !["aws.", "amazon.", "."].iter().any(|head| lower.starts_with(head))
        && !name.ends_with('.')
        && !name.contains("..")
}
