//! Files of dead letters, line by line.

use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmill_stream::dead_letter::DeadLetter;
use wasmill_stream::{Error, ErrorKind, Result};

/// A dead letter and where it is.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its file.
    pub file: Arc<Path>,
    /// Its line, from 1.
    pub line: usize,
    /// What it says.
    pub letter: DeadLetter,
}

/// The files that `paths` name: files as they are, of folders every `.jsonl` and `.jsonl.gz` below, by name. What a job
/// is still writing ends in `.part` and is left out.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            collect(path, &mut files)?;
            if files.len() == before {
                let message = format!("{}: no .jsonl or .jsonl.gz files in this folder", path.display());
                return Err(Error::invalid(message));
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = |error| Error::invalid(format!("read folder {}", folder.display())).with_source(error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            collect(&path, files)?;
        } else if name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") {
            files.push(path);
        }
    }
    Ok(())
}

/// Reads all letters of the files in order. A line that is none ends it with an error that names it.
pub fn for_each(files: &[PathBuf], mut take: impl FnMut(Letter) -> Result<()>) -> Result<()> {
    for path in files {
        let unreadable = |error| Error::invalid(format!("read {}", path.display())).with_source(error);
        let opened = File::open(path).map_err(unreadable)?;
        let reader: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "gz") {
            Box::new(MultiGzDecoder::new(opened))
        } else {
            Box::new(opened)
        };
        let file: Arc<Path> = path.as_path().into();
        for (line, bytes) in (1..).zip(BufReader::new(reader).split(b'\n')) {
            let bytes = bytes.map_err(unreadable)?;
            if !bytes.trim_ascii().is_empty() {
                let letter = parse(&bytes).map_err(|reason| {
                    let message = format!("{}:{line}: not a dead letter: {reason}", path.display());
                    Error::new(ErrorKind::Invalid, message)
                })?;
                take(Letter { file: file.clone(), line, letter })?;
            }
        }
    }
    Ok(())
}

fn parse(line: &[u8]) -> Result<DeadLetter, String> {
    let letter: DeadLetter = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    // All members may be missing, so that letters of other versions can be read; but without these it is something else.
    match (letter.cause.is_empty(), letter.step.is_empty()) {
        (false, false) => Ok(letter),
        _ => Err("it has no `cause` and no `step`".to_owned()),
    }
}
