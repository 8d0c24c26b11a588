//! The settings of the file sink. Nothing here touches the disk.

use super::FileSink;
use super::roller::{Rolling, Target};
use crate::format::{Format, Named};
use crate::partitions::Partitions;
use wasmill_stream::config::{Place, Problems, Section};
use wasmill_stream::sink::Sink;
use wasmill_stream::units::{ByteCount, Period};

/// A file that is gathered in memory takes no more.
const LARGEST_GATHERED: u64 = 256 << 20;

/// Reads the settings of a file sink.
///
/// * `path`: one file if it ends in `.jsonl` or `.csv`, and in `.gz` or `.zst` after that; else a folder of parts
///   `part-000001.jsonl`, numbered on from run to run; in a job with checkpoints `part-1795261927-000001-5eb63bbb.jsonl`, where
///   each run and each sink counts for itself, and no name comes twice. It is created if it is missing.
/// * what [`Format::check`] reads;
/// * in a folder: `prefix`, the folders in it, by the event time of the rows and by their fields: `"dt={+%Y-%m-%d}/zone={zone}/"`;
///   a part is complete after `roll_bytes` or `roll_interval` (1 m), counted from its first row. If rows are lines and there is no
///   `prefix`, it is written as they come: `roll_bytes` are 128 MiB, before compression, and in a job with checkpoints it gets
///   its name with the first one after that. Otherwise it is gathered in memory: `roll_bytes` are 32 MiB, and it is complete at
///   each checkpoint.
/// * `manifests` (false): each checkpoint that gives files their names writes a list of them, the last, into `_manifests`.
/// * for one file: `overwrite` (false) allows that it exists already. It is complete when the job ends.
pub fn check(name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let path = section.required_path("path", problems);
    let file_name = path.as_ref().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy().into_owned();
    let named = Named::of(&file_name);
    let (format, format_place) = Format::check(named, section, problems);
    let partitions = check_prefix(named.is_some(), section, problems);
    let roll_bytes = section.located::<ByteCount>("roll_bytes", problems);
    let roll_interval = section.located::<Period>("roll_interval", problems);
    let overwrite = section.located::<bool>("overwrite", problems);
    let lists = section.located::<bool>("manifests", problems);
    let path = path?;
    let title = section.title();
    let target = if named.is_some() {
        if !format.has_lines() {
            let message = format!("{title}: Parquet is written into a folder: a file of it cannot be gone on with");
            problems.push_hint(format_place, message, "let `path` be a folder");
        }
        if let Some((true, place)) = lists {
            let message = format!("{title}: one file has no `manifests`");
            problems.push_hint(place, message, "let `path` be a folder");
        }
        for place in [roll_bytes.map(|(_, place)| place), roll_interval.map(|(_, place)| place)].into_iter().flatten() {
            let message = format!("{title}: one file does not roll");
            problems.push_hint(place, message, "let `path` be a folder, whose files roll");
        }
        Target::File { path, format, overwrite: overwrite.is_some_and(|(overwrite, _)| overwrite) }
    } else {
        if let Some((_, place)) = overwrite {
            let message = format!("{title}: `overwrite` is for one file that ends in .jsonl or .csv");
            problems.push_hint(place, message, "a folder keeps its files; new ones get the next numbers");
        }
        let interval = check_interval(roll_interval, title, problems);
        let rolling = Rolling { bytes: 128 << 20, interval: interval.duration() };
        let lists = lists.is_some_and(|(lists, _)| lists);
        let mut target = Target::Folder { path, format, rolling, partitions, lists };
        let gathers = target.gathers();
        if let Target::Folder { rolling, .. } = &mut target {
            rolling.bytes = match roll_bytes {
                Some(roll_bytes) if gathers => check_gathered(roll_bytes, title, problems),
                Some((bytes, _)) => bytes.bytes(),
                None if gathers => 32 << 20,
                None => 128 << 20,
            };
        }
        target
    };
    (problems.len() == before).then(|| Box::new(FileSink { name: name.to_owned(), target }) as Box<dyn Sink>)
}

/// Reads the table `[archive]` with `type = "file"`: `path`, which is a folder, `roll_bytes` (32 MiB), `roll_interval` (1 m) and
/// `manifests`, as in a folder of files that are gathered in memory.
pub fn check_archive(name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let path = section.required_path("path", problems);
    let roll_bytes = section.located::<ByteCount>("roll_bytes", problems);
    let roll_interval = section.located::<Period>("roll_interval", problems);
    let lists = section.optional("manifests", problems).unwrap_or(false);
    let title = section.title();
    let rolling = Rolling {
        bytes: roll_bytes.map_or(32 << 20, |roll_bytes| check_gathered(roll_bytes, title, problems)),
        interval: check_interval(roll_interval, title, problems).duration(),
    };
    let (format, partitions) = (Format::Archive, Partitions::default());
    let target = Target::Folder { path: path?, format, rolling, partitions, lists };
    (problems.len() == before).then(|| Box::new(FileSink { name: name.to_owned(), target }) as Box<dyn Sink>)
}

/// The size of a file that is gathered in memory.
fn check_gathered((bytes, place): (ByteCount, Place), title: &str, problems: &mut Problems) -> u64 {
    if !(1..=LARGEST_GATHERED).contains(&bytes.bytes()) {
        let most = ByteCount::new(LARGEST_GATHERED);
        let message = format!("{title}: `roll_bytes` must be 1 to {most} here, found {bytes}");
        problems.push_hint(place, message, "such a file is gathered in memory");
    }
    bytes.bytes()
}

fn check_interval(interval: Option<(Period, Place)>, title: &str, problems: &mut Problems) -> Period {
    interval.map_or(Period::from_millis(60_000), |(interval, place)| {
        if interval.millis() == 0 {
            problems.push(place, format!("{title}: `roll_interval` must be longer than 0"));
        }
        interval
    })
}

fn check_prefix(is_file: bool, section: &mut Section<'_>, problems: &mut Problems) -> Partitions {
    let Some((text, place)) = section.located::<String>("prefix", problems) else { return Partitions::default() };
    let title = section.title();
    if is_file {
        let message = format!("{title}: one file has no `prefix`");
        problems.push_hint(place.clone(), message, "let `path` be a folder");
    }
    let checked = match text.is_empty() || text.ends_with('/') {
        true => Partitions::parse(&text),
        false => Err("it must end in `/`: it names folders".to_owned()),
    };
    checked.unwrap_or_else(|message| {
        let message = format!("{title}: `prefix`: {message}");
        problems.push_hint(place, message, "write it like \"dt={+%Y-%m-%d}/zone={zone}/\"");
        Partitions::default()
    })
}
