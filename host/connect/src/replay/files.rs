//! The recorded files of a replay, one after the other: finding them, unpacking them, and naming them in errors.

use super::Feed;
use super::csv::{CsvReader, Kind};
use super::objects::{self, Object};
use super::packing::{Packing, unpack};
use crate::lines::{Fill, LineReader, Run};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wasmill_stream::{Error, Result};

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
        self.open_with(Vec::new(), Arc::default())
    }

    /// The same, with objects behind the files. Counts the bytes that are read, as they are stored.
    pub fn open_with(self, objects: Vec<Object>, taken: Arc<AtomicU64>) -> Result<FileFeed> {
        let mut paths = VecDeque::new();
        for path in &self.paths {
            find(path, &mut paths)?;
        }
        let objects = objects.into_iter().map(|object| Place { path: object.name(), object: Some(object) });
        let waiting = paths.into_iter().map(|path| Place { path, object: None }).chain(objects).collect();
        let left = self.limit.unwrap_or(u64::MAX);
        Ok(FileFeed { files: self, waiting, current: None, lines_before: 0, lines: 0, left, taken })
    }
}

/// Reads the files. Lines are numbered on from file to file.
pub struct FileFeed {
    files: Files,
    waiting: VecDeque<Place>,
    current: Option<Current>,
    lines_before: u64,
    lines: u64,
    /// How many records may still be played.
    left: u64,
    /// How many bytes were read, as they are stored.
    taken: Arc<AtomicU64>,
}

/// A file, or an object that is called like one.
struct Place {
    path: PathBuf,
    object: Option<Object>,
}

struct Current {
    path: PathBuf,
    packing: Packing,
    reader: Reader,
}

enum Reader {
    Json(LineReader<Box<dyn Read + Send>>),
    Csv(CsvReader<Box<dyn Read + Send>>),
}

impl FileFeed {
    /// The files that will be played, before the first is read.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.waiting.iter().map(|place| place.path.clone()).collect()
    }

    /// How many bytes all of it has, as it is stored; 0 where nobody can say.
    pub fn bytes(&self) -> u64 {
        let bytes = |place: &Place| match &place.object {
            Some(object) => object.bytes(),
            None => fs::metadata(&place.path).map_or(0, |found| found.len()),
        };
        self.waiting.iter().map(bytes).sum()
    }

    /// What is being read, and how many lines came before it.
    pub fn current(&self) -> Option<(&Path, u64)> {
        self.current.as_ref().map(|current| (current.path.as_path(), self.lines_before))
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
    fn open(&self, place: Place) -> Result<Current> {
        let Place { path, object } = place;
        let failed = |error| failed(&path, Packing::None, error);
        let input: Box<dyn Read + Send> = match object {
            Some(object) => objects::reader(object),
            None => Box::new(File::open(&path).map_err(failed)?),
        };
        let input = Counted { input, taken: self.taken.clone() };
        let (packing, input) = unpack(input).map_err(failed)?;
        if is_gzip(&path) && packing != Packing::Gzip {
            let path = path.display();
            return Err(Error::invalid(format!(
                "`{path}` is called .gz but is no gzip data: rename it or fetch it again"
            )));
        }
        let reader = match self.files.format.unwrap_or_else(|| format_of(&path)) {
            Format::Json => Reader::Json(LineReader::new(input, Fill::Whole)),
            Format::Csv => {
                Reader::Csv(CsvReader::open(input, &self.files.columns).map_err(|e| name(&path, packing, e))?)
            }
        };
        Ok(Current { path, packing, reader })
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
            Reader::Json(reader) => reader.read().map_err(|error| failed(&self.path, self.packing, error)),
            Reader::Csv(reader) => reader.read().map_err(|error| name(&self.path, self.packing, error)),
        }
    }
}

fn find(path: &Path, found: &mut VecDeque<PathBuf>) -> Result<()> {
    let info = fs::metadata(path).map_err(|error| failed(path, Packing::None, error))?;
    if !info.is_dir() {
        found.push_back(path.to_owned());
        return Ok(());
    }
    let mut inside = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| failed(path, Packing::None, error))? {
        let entry = entry.map_err(|error| failed(path, Packing::None, error))?;
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

/// Counts what is read.
struct Counted<R> {
    input: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.taken.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}

fn format_of(path: &Path) -> Format {
    // `trips.csv.gz` and the like.
    let inner = path.file_stem().map(Path::new).and_then(Path::extension);
    match [path.extension(), inner].into_iter().flatten().any(|extension| extension.eq_ignore_ascii_case("csv")) {
        true => Format::Csv,
        false => Format::Json,
    }
}

fn name(path: &Path, packing: Packing, error: Error) -> Error {
    // A CSV reader wraps what its input said.
    match std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(cause) if is_damage(packing, cause) => damaged(path, packing, cause),
        _ => error.context(format!("`{}`", path.display())),
    }
}

/// Why a file cannot be read.
pub fn failed(path: &Path, packing: Packing, error: io::Error) -> Error {
    if is_damage(packing, &error) {
        return damaged(path, packing, &error);
    }
    let advice = match error.kind() {
        io::ErrorKind::NotFound => ": there is no such file; paths are relative to the current directory",
        _ => "",
    };
    Error::invalid(format!("read `{}`{advice}", path.display())).with_source(error)
}

fn is_damage(packing: Packing, error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    packing != Packing::None && matches!(error.kind(), UnexpectedEof | InvalidInput | InvalidData)
}

fn damaged(path: &Path, packing: Packing, error: &io::Error) -> Error {
    let path = path.display();
    Error::invalid(match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("`{path}` ends in the middle of its {packing} data: fetch it again"),
        _ => format!("`{path}` has damaged {packing} data ({error}): fetch it again"),
    })
}
