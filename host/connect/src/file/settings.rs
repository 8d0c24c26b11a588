//! The settings of the file sink. Nothing here touches the disk.

use super::FileSink;
use super::roller::{Rolling, Target};
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::sink::Sink;
use wasmill_stream::units::{ByteCount, Period};

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Compression {
    None,
    Gzip,
}

/// Reads the settings of a file sink.
///
/// * `path`: one file if it ends in `.jsonl` or `.jsonl.gz`, else a folder of parts `part-000001.jsonl`, numbered on from run
///   to run; in a job with checkpoints `part-1795261927-000001-5eb63bbb.jsonl`, where each run and each sink counts for
///   itself, and no name comes twice. It is created if it is missing.
/// * in a folder: `compression` = `"none"` or `"gzip"`; a part is complete after `roll_bytes` (128 MiB, before compression)
///   or `roll_interval` (1 m), counted from its first row. In a job with checkpoints it gets its name with the first one
///   after that.
/// * for one file: `overwrite` (false) allows that it exists already. It is complete when the job ends.
pub fn check(name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let path = section.required_path("path", problems);
    let compression = section.located::<Compression>("compression", problems);
    let roll_bytes = section.located::<ByteCount>("roll_bytes", problems);
    let roll_interval = section.located::<Period>("roll_interval", problems);
    let overwrite = section.located::<bool>("overwrite", problems);
    let path = path?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let title = section.title();
    let target = if file_name.ends_with(".jsonl") || file_name.ends_with(".jsonl.gz") {
        let gzip = file_name.ends_with(".gz");
        if let Some((compression, place)) = compression
            && (compression == Compression::Gzip) != gzip
        {
            let message = format!("{title}: `compression` does not fit the path `{}`", path.display());
            problems.push_hint(place, message, "a file with gzip ends in .jsonl.gz, one without in .jsonl");
        }
        for place in [roll_bytes.map(|(_, place)| place), roll_interval.map(|(_, place)| place)].into_iter().flatten() {
            let message = format!("{title}: one file does not roll");
            problems.push_hint(place, message, "let `path` be a folder, whose files roll");
        }
        Target::File { path, gzip, overwrite: overwrite.is_some_and(|(overwrite, _)| overwrite) }
    } else {
        if let Some((_, place)) = overwrite {
            let message = format!("{title}: `overwrite` is for one file that ends in .jsonl");
            problems.push_hint(place, message, "a folder keeps its files; new ones get the next numbers");
        }
        let bytes = roll_bytes.map_or(ByteCount::new(128 << 20), |(bytes, _)| bytes);
        let interval = roll_interval.map_or(Period::from_millis(60_000), |(interval, place)| {
            if interval.millis() == 0 {
                problems.push(place, format!("{title}: `roll_interval` must be longer than 0"));
            }
            interval
        });
        let gzip = compression.is_some_and(|(compression, _)| compression == Compression::Gzip);
        Target::Folder { path, gzip, rolling: Rolling { bytes: bytes.bytes(), interval: interval.duration() } }
    };
    (problems.len() == before).then(|| Box::new(FileSink { name: name.to_owned(), target }) as Box<dyn Sink>)
}
