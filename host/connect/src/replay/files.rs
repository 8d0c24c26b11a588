//! The recorded files of a replay, one after the other: finding them, unpacking them, and naming them in errors.

use super::Feed;
use super::csv::{CsvReader, Kind};
use crate::lines::{Fill, LineReader, Run};
use flate2::read::MultiGzDecoder;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use wasmill_stream::{Error, Result};

const GZIP_MAGIC: &[u8] = b"\x1F\x8B";

/// How records are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON lines.
    Json,
    /// Comma-separated values under a header line.
    Csv,
}

/// The files to play.
#[derive(Debug)]
pub struct Files {
    /// Files, or folders whose files are played in the order of their names.
    pub paths: Vec<PathBuf>,
    /// How all of them are written; `None`: `.csv` and `.csv.gz` are CSV, all others JSON lines.
    pub format: Option<Format>,
    /// What cells of a CSV column become, for columns where it is not to be guessed.
    pub columns: BTreeMap<String, Kind>,
    /// How many records to play.
    pub limit: Option<u64>,
}

impl Files {
    /// Finds all files, so that a wrong path is an error before anything is read.
    pub fn open(self) -> Result<FileFeed> {
        let mut waiting = VecDeque::new();
        for path in &self.paths {
            find(path, &mut waiting)?;
        }
        let left = self.limit.unwrap_or(u64::MAX);
        Ok(FileFeed { files: self, waiting, current: None, lines_before: 0, lines: 0, left })
    }
}

/// Reads the files. Lines are numbered on from file to file.
pub struct FileFeed {
    files: Files,
    waiting: VecDeque<PathBuf>,
    current: Option<Current>,
    lines_before: u64,
    lines: u64,
    /// How many records may still be played.
    left: u64,
}

struct Current {
    path: PathBuf,
    reader: Reader,
}

enum Reader {
    Json(LineReader<Box<dyn Read + Send>>),
    Csv(CsvReader<Box<dyn Read + Send>>),
}

impl FileFeed {
    /// The files that will be played, before the first is read.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.waiting.iter().cloned().collect()
    }
}

impl Feed for FileFeed {
    fn read(&mut self) -> Result<Vec<Run>> {
        while self.left > 0 {
            let Some(current) = &mut self.current else {
                let Some(path) = self.waiting.pop_front() else { break };
                self.current = Some(self.open(path)?);
                continue;
            };
            let mut runs = current.read()?;
            if runs.is_empty() {
                self.current = None;
                self.lines_before += std::mem::take(&mut self.lines);
                continue;
            }
            self.cut_at_limit(&mut runs);
            for run in &mut runs {
                self.lines = run.first + run.values.len() as u64 - 1;
                run.first += self.lines_before;
            }
            return Ok(runs);
        }
        Ok(Vec::new())
    }
}

impl FileFeed {
    fn open(&self, path: PathBuf) -> Result<Current> {
        let file = File::open(&path).map_err(|error| failed(&path, error))?;
        let input: Box<dyn Read + Send> = match is_gzip(&path) {
            true => Box::new(unpacked(&path, file)?),
            false => Box::new(file),
        };
        let reader = match self.files.format.unwrap_or_else(|| format_of(&path)) {
            Format::Json => Reader::Json(LineReader::new(input, Fill::Whole)),
            Format::Csv => Reader::Csv(CsvReader::open(input, &self.files.columns).map_err(|e| name(&path, e))?),
        };
        Ok(Current { path, reader })
    }

    fn cut_at_limit(&mut self, runs: &mut Vec<Run>) {
        for run in runs.iter_mut() {
            let take = self.left.min(run.values.len() as u64);
            if take < run.values.len() as u64 {
                run.values = run.values.select(&(0..take as u32).collect::<Vec<_>>());
            }
            self.left -= take;
        }
        runs.retain(|run| !run.values.is_empty());
    }
}

impl Current {
    fn read(&mut self) -> Result<Vec<Run>> {
        match &mut self.reader {
            Reader::Json(reader) => reader.read().map_err(|error| failed(&self.path, error)),
            Reader::Csv(reader) => reader.read().map_err(|error| name(&self.path, error)),
        }
    }
}

fn find(path: &Path, found: &mut VecDeque<PathBuf>) -> Result<()> {
    let info = fs::metadata(path).map_err(|error| failed(path, error))?;
    if !info.is_dir() {
        found.push_back(path.to_owned());
        return Ok(());
    }
    let mut inside = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| failed(path, error))? {
        let entry = entry.map_err(|error| failed(path, error))?;
        if entry.path().is_file() && !is_unfinished(&entry.path()) {
            inside.push(entry.path());
        }
    }
    if inside.is_empty() {
        return Err(Error::invalid(format!("the folder `{}` has no files to play", path.display())));
    }
    inside.sort();
    found.extend(inside);
    Ok(())
}

/// Hidden files, and those that somebody is still writing.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") || name.ends_with(b".part") || name.ends_with(b".tmp")
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

fn unpacked(path: &Path, file: File) -> Result<impl Read + Send + use<>> {
    let mut packed = BufReader::with_capacity(64 << 10, file);
    if packed.fill_buf().map_err(|error| failed(path, error))?.starts_with(GZIP_MAGIC) {
        return Ok(MultiGzDecoder::new(packed));
    }
    let path = path.display();
    Err(Error::invalid(format!("`{path}` is called .gz but is no gzip data: rename it or fetch it again")))
}

fn format_of(path: &Path) -> Format {
    let plain = if is_gzip(path) { path.with_extension("") } else { path.to_owned() };
    match plain.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("csv") => Format::Csv,
        _ => Format::Json,
    }
}

fn name(path: &Path, error: Error) -> Error {
    // A CSV reader wraps what its input said.
    match std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(cause) if is_gzip(path) && is_damage(cause) => damaged(path, cause),
        _ => error.context(format!("`{}`", path.display())),
    }
}

pub fn failed(path: &Path, error: io::Error) -> Error {
    if is_gzip(path) && is_damage(&error) {
        return damaged(path, &error);
    }
    let advice = match error.kind() {
        io::ErrorKind::NotFound => ": there is no such file; paths are relative to the current directory",
        _ => "",
    };
    Error::invalid(format!("read `{}`{advice}", path.display())).with_source(error)
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

fn damaged(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    Error::invalid(match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("`{path}` ends in the middle of its gzip data: fetch it again"),
        _ => format!("`{path}` has damaged gzip data ({error}): fetch it again"),
    })
}
