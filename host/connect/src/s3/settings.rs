//! The settings of the `s3` sink as the job file has them.

use super::S3;
use super::bucket::BucketSettings;
use crate::format::Format;
use crate::partitions::Partitions;
use object_store::path::Path;
use std::time::Duration;
use wasmill_stream::access::Reach;
use wasmill_stream::config::{Place, Problems, Section};
use wasmill_stream::sink::Sink;
use wasmill_stream::units::{ByteCount, Period};

/// An object is one request, which has to succeed as a whole.
const LARGEST_OBJECT: u64 = 256 << 20;

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bucket and where it is.
    pub bucket: BucketSettings,
    /// What keys begin with, by the event time of the rows and by their fields.
    pub partitions: Partitions,
    /// How rows are written.
    pub format: Format,
    /// Size at which an object is put.
    pub object_bytes: usize,
    /// Age at which an object is put, counted from its first row.
    pub roll_interval: Duration,
    /// Whether each checkpoint lists what it has made visible.
    pub lists: bool,
}

/// Reads a `[sink.…]` table of `type = "s3"`:
///
/// * `bucket`, and `prefix`, what keys begin with, by the event time of the rows and by their fields:
///   `"rides/dt={+%Y-%m-%d}/zone={zone}/"`.
/// * what [`Format::check`] reads; an object is complete after `object_bytes` (32 MiB) or `roll_interval` (1 m), and in a job
///   with checkpoints at each of them, with which it becomes visible.
/// * `manifests` (false): each checkpoint that makes objects visible puts a list of them, the last, below `_manifests/` in the
///   folder of the prefix.
/// * what [`BucketSettings`] reads.
pub fn check(name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let bucket = section.required_located("bucket", problems);
    let (bucket, place) = bucket.unwrap_or_else(|| (String::new(), section.place()));
    let settings = Settings {
        partitions: check_prefix((&bucket, place), section, problems),
        bucket: BucketSettings::check(bucket, section, problems),
        format: Format::check(None, section, problems).0,
        object_bytes: check_object_bytes(section, problems),
        roll_interval: check_roll_interval(section, problems),
        lists: section.optional("manifests", problems).unwrap_or(false),
    };
    let sink = S3 { name: name.to_owned(), settings };
    (problems.len() == before).then(|| Box::new(sink) as Box<dyn Sink>)
}

/// Reads the table `[archive]` with `type = "s3"`: `bucket`, `prefix` (a folder, without times and fields: records have their own
/// folders below it), `object_bytes`, `roll_interval`, `manifests`, and what [`BucketSettings`] reads.
pub fn check_archive(name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let (bucket, prefix) = check_folder(section, problems);
    let settings = Settings {
        partitions: Partitions::parse(&prefix).unwrap_or_default(),
        bucket: BucketSettings::check(bucket, section, problems),
        format: Format::Archive,
        object_bytes: check_object_bytes(section, problems),
        roll_interval: check_roll_interval(section, problems),
        lists: section.optional("manifests", problems).unwrap_or(false),
    };
    let sink = S3 { name: name.to_owned(), settings };
    (problems.len() == before).then(|| Box::new(sink) as Box<dyn Sink>)
}

/// Reads `bucket`, and `prefix` as the name of a folder in it.
pub fn check_folder(section: &mut Section<'_>, problems: &mut Problems) -> (String, String) {
    let bucket = section.required_located::<String>("bucket", problems);
    let (bucket, place) = bucket.unwrap_or_else(|| (String::new(), section.place()));
    let prefix = section.located::<String>("prefix", problems);
    let place = prefix.as_ref().map_or(place, |(_, place)| place.clone());
    let prefix = prefix.map(|(prefix, _)| prefix).unwrap_or_default();
    section.reach(Reach::Objects { bucket: &bucket, prefix: &prefix }, place.clone(), problems);
    let is_folder = prefix.is_empty() || prefix.ends_with('/');
    let is_key = || Path::parse(format!("{prefix}x")).is_ok() && Partitions::parse(&prefix).is_ok();
    if !is_folder || prefix.contains(['{', '*']) || !is_key() {
        let message = format!("{}: `prefix`: \"{prefix}\" is no folder of an archive", section.title());
        problems.push_hint(
            place,
            message,
            "write it like \"archive/\": sources and hours have folders of their own in it",
        );
    }
    (bucket, prefix)
}

fn check_prefix(bucket: (&str, Place), section: &mut Section<'_>, problems: &mut Problems) -> Partitions {
    let prefix = section.located::<String>("prefix", problems);
    let (bucket, place) = bucket;
    let place = prefix.as_ref().map_or(place, |(_, place)| place.clone());
    let head = prefix.as_ref().map(|(prefix, _)| prefix.as_str()).unwrap_or_default();
    section.reach(Reach::Objects { bucket, prefix: head }, place, problems);
    let Some((text, place)) = prefix else { return Partitions::default() };
    let checked = Partitions::parse(&text).and_then(|partitions| {
        let sample = partitions.head();
        Path::parse(format!("{sample}x")).map(|_| partitions).map_err(|error| error.to_string())
    });
    checked.unwrap_or_else(|message| {
        let message = format!("{}: `prefix`: {message}", section.title());
        problems.push_hint(
            place,
            message,
            "write it like \"raw/{+%Y/%m/%d/%H}/\" or \"rides/dt={+%Y-%m-%d}/zone={zone}/\"",
        );
        Partitions::default()
    })
}

fn check_object_bytes(section: &mut Section<'_>, problems: &mut Problems) -> usize {
    let default = (ByteCount::new(32 << 20), section.place());
    let (size, place) = section.located::<ByteCount>("object_bytes", problems).unwrap_or(default);
    if !(1..=LARGEST_OBJECT).contains(&size.bytes()) {
        let most = ByteCount::new(LARGEST_OBJECT);
        problems.push(place, format!("{}: `object_bytes` must be 1 to {most}, found {size}", section.title()));
    }
    size.bytes() as usize
}

fn check_roll_interval(section: &mut Section<'_>, problems: &mut Problems) -> Duration {
    let default = (Period::from_millis(60_000), section.place());
    let (interval, place) = section.located::<Period>("roll_interval", problems).unwrap_or(default);
    if interval.millis() == 0 {
        problems.push(place, format!("{}: `roll_interval` must be longer than 0", section.title()));
    }
    interval.duration()
}
