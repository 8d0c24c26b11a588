//! Gathers rows in memory until they are whole files or objects, one for each partition. Memory is bounded by the size of a
//! file; how many are open is bounded too. Where files go is not known here.

use crate::archive;
use crate::format::columns::Reader;
use crate::format::{Body, Format};
use crate::partitions::{Namer, Partitions};
use std::collections::BTreeMap;
use std::io;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Batch, Error, ErrorKind, Result};

/// Most files that are open at a time. Rows of many partitions at once make small files, not a large process.
pub const OPEN: usize = 64;

/// What a sink has not handed over yet.
pub enum Gathering {
    /// Rows.
    Rows(Box<Rows>),
    /// Records as they were read.
    Records(archive::Gathering),
}

/// Rows of a sink that are not handed over yet.
pub struct Rows {
    format: Format,
    partitions: Partitions,
    /// Reads the columns of the format and then the fields of the partitions.
    reader: Option<Reader>,
    /// Size at which a file is complete.
    limit: usize,
    /// Open files by what their names begin with.
    open: BTreeMap<String, Body>,
    /// How many bytes they take.
    bytes: usize,
}

/// A file or an object that has its rows.
pub struct Complete {
    /// What its name begins with.
    pub prefix: String,
    /// All of it.
    pub bytes: Vec<u8>,
    /// How many rows it has.
    pub rows: usize,
}

impl Gathering {
    /// Nothing is open. `run`: the number of the run, or 0 in a job that does not count them.
    pub fn new(format: Format, partitions: Partitions, limit: usize, run: u64) -> Self {
        match format {
            Format::Archive => Self::Records(archive::Gathering::new(partitions.head(), limit, run)),
            format => Self::Rows(Box::new(Rows::new(format, partitions, limit))),
        }
    }

    /// Takes the rows of a batch, and returns what has become complete by that. Rows that cannot be written are refused.
    pub fn take(&mut self, batch: &Batch, ledger: &StepLedger) -> Result<Vec<Complete>> {
        match self {
            Self::Rows(rows) => rows.take(batch, ledger),
            Self::Records(records) => records.take(batch),
        }
    }

    /// Completes everything.
    pub fn finish(&mut self) -> Result<Vec<Complete>> {
        match self {
            Self::Rows(rows) => rows.finish(),
            Self::Records(records) => records.finish(),
        }
    }
}

impl Rows {
    /// Nothing is open.
    fn new(format: Format, partitions: Partitions, limit: usize) -> Self {
        let reader = format.reader(partitions.fields());
        Self { format, partitions, reader, limit, open: BTreeMap::new(), bytes: 0 }
    }

    /// Takes the rows of a batch, and returns what has become complete by that. Rows that do not fit the format or have no
    /// partition are refused.
    fn take(&mut self, batch: &Batch, ledger: &StepLedger) -> Result<Vec<Complete>> {
        let read = self.reader.as_mut().map(|reader| reader.read(&batch.values));
        let (read, columns) = (read.as_ref(), self.format.columns().len());
        let mut namer = Namer::new(&self.partitions);
        let (mut prefix, mut complete) = (String::new(), Vec::new());
        for row in 0..batch.len() {
            let named = match read.and_then(|read| read.refusal(row)) {
                Some(reason) => Err(reason.to_owned()),
                None => namer.write(batch.times[row], read.map(|read| (read, columns)), row, &mut prefix),
            };
            if let Err(reason) = named {
                ledger.refuse(batch, row, &reason);
                continue;
            }
            if !self.open.contains_key(&prefix) {
                let body = Body::new(&self.format).map_err(packing)?;
                self.bytes += body.bytes();
                self.open.insert(prefix.clone(), body);
            }
            let Some(body) = self.open.get_mut(&prefix) else { continue };
            let before = body.bytes();
            if let Err(reason) = body.push(batch, read, row).map_err(packing)? {
                ledger.refuse(batch, row, &reason);
            }
            self.bytes = self.bytes + body.bytes() - before;
            if let Some(due) = due(&self.open, &prefix, self.bytes, self.limit) {
                complete.extend(end(&mut self.open, &mut self.bytes, &due)?);
            }
        }
        Ok(complete)
    }

    /// Completes everything.
    fn finish(&mut self) -> Result<Vec<Complete>> {
        let mut complete = Vec::new();
        while let Some(prefix) = self.open.keys().next().cloned() {
            complete.extend(end(&mut self.open, &mut self.bytes, &prefix)?);
        }
        Ok(complete)
    }
}

/// What has to go: the file that was just written if it is large, the largest if there is too much in all.
fn due(open: &BTreeMap<String, Body>, written: &str, bytes: usize, limit: usize) -> Option<String> {
    if open.get(written).map_or(0, Body::bytes) >= limit {
        return Some(written.to_owned());
    }
    if open.len() <= OPEN && bytes < 2 * limit {
        return None;
    }
    open.iter().max_by_key(|(_, body)| body.bytes()).map(|(prefix, _)| prefix.clone())
}

/// Completes one file. One that was opened for a row that was then refused has none and is dropped.
fn end(open: &mut BTreeMap<String, Body>, bytes: &mut usize, prefix: &str) -> Result<Option<Complete>> {
    let Some(body) = open.remove(prefix) else { return Ok(None) };
    *bytes -= body.bytes();
    let rows = body.rows();
    if rows == 0 {
        return Ok(None);
    }
    let bytes = body.finish().map_err(packing)?;
    Ok(Some(Complete { prefix: prefix.to_owned(), bytes, rows }))
}

/// Rows could not be packed.
pub fn packing(error: io::Error) -> Error {
    Error::new(ErrorKind::Corrupt, "pack rows").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::packing::Packing;

    fn gathering(pattern: &str, limit: usize) -> Rows {
        let partitions = Partitions::parse(pattern).expect("a pattern");
        Rows::new(Format::Json(Packing::None), partitions, limit)
    }

    /// A row in each of so many partitions.
    fn batch(partitions: usize) -> Batch {
        let values = (0..partitions).map(|n| format!("{{\"n\":{n}}}")).collect();
        Batch { times: vec![0; partitions], values, ..Batch::default() }
    }

    /// More partitions than may be open → one is complete for each more, and what is taken is what is open.
    #[test]
    fn open_files_are_bounded() {
        let (mut gathering, ledger) = (gathering("n={n}/", 1 << 20), StepLedger::new("out"));
        assert_eq!(gathering.take(&batch(OPEN), &ledger).expect("rows").len(), 0);
        assert_eq!(gathering.take(&batch(OPEN + 3), &ledger).expect("rows").len(), 3);
        let open: usize = gathering.open.values().map(Body::bytes).sum();
        assert_eq!((gathering.open.len(), gathering.bytes), (OPEN, open));
        // Three of them, with two rows each, are gone.
        let rows: usize = gathering.finish().expect("files").iter().map(|complete| complete.rows).sum();
        assert_eq!(rows, 2 * OPEN + 3 - 3 * 2);
        assert_eq!((gathering.open.len(), gathering.bytes), (0, 0));
    }

    /// Many files, none of which is large → the largest go when all of them take twice what one may.
    #[test]
    fn all_files_together_are_bounded() {
        let (mut gathering, ledger) = (gathering("n={n}/", 32), StepLedger::new("out"));
        let complete = gathering.take(&batch(20), &ledger).expect("rows");
        assert!(!complete.is_empty() && gathering.bytes < 64, "{} of {}", gathering.bytes, complete.len());
    }
}
