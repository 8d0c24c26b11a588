//! The settings of the `dynamodb` sink as the job file has them.

use super::DynamoDb;
use crate::aws::{ServiceSettings, is_region};
use crate::requests::RequestSettings;
use std::num::NonZeroUsize;
use wasmill_stream::access::Reach;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::field::FieldSpec;
use wasmill_stream::sink::Sink;
use wasmill_stream::units::Period;

/// Checked settings.
#[derive(Debug)]
pub struct Settings {
    /// The table, by name or ARN.
    pub table: String,
    /// Which server it is on, and who asks.
    pub service: ServiceSettings,
    /// How requests are sent.
    pub requests: RequestSettings,
    /// What becomes of a row.
    pub rows: RowSettings,
}

/// What of a row becomes what of an item.
#[derive(Debug, Default)]
pub struct RowSettings {
    /// Where partition key and sort key are; absent: in the members that are called like these attributes of the table.
    pub keys: [Option<String>; 2],
    /// The member by which newer items are told from older ones.
    pub version: Option<String>,
    /// The attribute that says when an item may be removed, and how long after its event time that is.
    pub expiry: Option<(String, Period)>,
}

/// Reads a `[sink.…]` table of `type = "dynamodb"`.
pub fn check(_name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let (table, region) = check_table(section, problems);
    let settings = Settings {
        table,
        service: ServiceSettings::check(region, section, problems),
        requests: RequestSettings::check(NonZeroUsize::MIN.saturating_add(7), section, problems),
        rows: RowSettings {
            keys: ["partition_key", "sort_key"].map(|key| check_pointer(key, section, problems)),
            version: check_version(section, problems),
            expiry: check_expiry(section, problems),
        },
    };
    (problems.len() == before).then(|| Box::new(DynamoDb { settings }) as Box<dyn Sink>)
}

/// The table, and its region if the ARN says it.
fn check_table(section: &mut Section<'_>, problems: &mut Problems) -> (String, Option<String>) {
    let Some((text, place)) = section.required_located::<String>("table", problems) else { return Default::default() };
    section.reach(Reach::Table(&text), place.clone(), problems);
    let name = match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "dynamodb", region, _, table] if is_region(region) => {
            table.strip_prefix("table/").map(|name| (name, Some((*region).to_owned())))
        }
        ["arn", ..] => None,
        _ => Some((text.as_str(), None)),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match name.filter(|(name, _)| (3..=255).contains(&name.len()) && name.bytes().all(is_plain)) {
        Some((_, region)) => (text, region),
        None => {
            let message =
                format!("{}: `table`: \"{text}\" is neither the name of a table nor its ARN", section.title());
            let hint = "expected arn:aws:dynamodb:REGION:ACCOUNT:table/NAME, or only NAME: 3 to 255 letters, digits, \"_\", \
                        \".\" and \"-\"";
            problems.push_hint(place, message, hint);
            Default::default()
        }
    }
}

fn check_pointer(key: &'static str, section: &mut Section<'_>, problems: &mut Problems) -> Option<String> {
    let (pointer, place) = section.located::<String>(key, problems)?;
    if let Err(message) = format!("{pointer}: string").parse::<FieldSpec>() {
        let message = format!("{}: `{key}`: {message}", section.title());
        problems.push_hint(place, message, "write it like \"/user/id\", without a type");
    }
    Some(pointer)
}

/// A member of the row itself: the table compares it as an attribute.
fn check_version(section: &mut Section<'_>, problems: &mut Problems) -> Option<String> {
    let (pointer, place) = section.located::<String>("version", problems)?;
    match format!("{pointer}: string").parse::<FieldSpec>().map(|spec| spec.pointers) {
        Ok(pointers) if matches!(&pointers[..], [names] if names.len() == 1) => pointers.into_iter().flatten().next(),
        _ => {
            let message = format!("{}: `version`: \"{pointer}\" is no member of a row itself", section.title());
            problems.push_hint(place, message, "write it like \"/version\"");
            None
        }
    }
}

fn check_expiry(section: &mut Section<'_>, problems: &mut Problems) -> Option<(String, Period)> {
    let attribute = section.optional::<String>("ttl_attribute", problems);
    let ttl = section.located::<Period>("ttl", problems);
    match (attribute, ttl) {
        (Some(attribute), Some((ttl, _))) if !attribute.is_empty() => Some((attribute, ttl)),
        (None, None) => None,
        (_, ttl) => {
            let place = ttl.map_or(section.place(), |(_, place)| place);
            let message = format!("{}: `ttl` and `ttl_attribute` go together", section.title());
            let hint = "`ttl_attribute` is the attribute that the table's time to live is set to, `ttl` how long after its event time \
                        an item expires";
            problems.push_hint(place, message, hint);
            None
        }
    }
}
