//! The settings of the `archive` source as the job file has them.

use super::place::PlaceSettings;
use super::reading::Archive;
use crate::s3::bucket::BucketSettings;
use crate::s3::settings::check_folder;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::source::Source;
use wasmill_stream::time::TimeFormat;

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the archive is.
    pub place: PlaceSettings,
    /// The source whose records are read.
    pub source: String,
    /// Records that arrived at this time (milliseconds) or later.
    pub from: i64,
    /// Records that arrived before this time; `None`: all.
    pub until: Option<i64>,
}

/// Reads a `[source.…]` table of `type = "archive"`:
///
/// * `path`, the folder of an archive; or `bucket`, `prefix` and what [`BucketSettings`] reads;
/// * `source`: the source whose records are read, by the name that it had. Without it, that of this table: then rows have the
///   same ids.
/// * `from` and `until`, times of arrival: records that arrived at `from` or later, and before `until`.
pub fn check(name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Source>> {
    let before = problems.len();
    let place = match section.path("path", problems) {
        Some(path) => PlaceSettings::Folder(path),
        // A path that may not be taken was said to be one.
        None if problems.len() > before => return None,
        None => {
            let (bucket, prefix) = check_folder(section, problems);
            PlaceSettings::Bucket(Box::new(BucketSettings::check(bucket, section, problems)), prefix)
        }
    };
    let source = section.optional("source", problems).unwrap_or_else(|| name.to_owned());
    let (from, until) = (check_time("from", section, problems), check_time("until", section, problems));
    if from.is_some() && until.is_some() && from >= until {
        problems.push(section.place(), format!("{}: `from` is not before `until`", section.title()));
    }
    let settings = Settings { place, source, from: from.unwrap_or(i64::MIN), until };
    let archive = Archive { name: name.to_owned(), settings };
    (problems.len() == before).then(|| Box::new(archive) as Box<dyn Source>)
}

fn check_time(key: &'static str, section: &mut Section<'_>, problems: &mut Problems) -> Option<i64> {
    let (text, place) = section.located::<String>(key, problems)?;
    let time = TimeFormat::Iso8601.parse(text.as_bytes());
    if time.is_none() {
        let message = format!("{}: `{key}`: \"{text}\" is not a time", section.title());
        problems.push_hint(place, message, "write it like \"2013-01-01T00:00:00Z\"");
    }
    time
}
