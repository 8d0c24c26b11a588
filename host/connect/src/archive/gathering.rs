//! Gathers records in memory until they are whole files, one for each hour of each source, so that files become complete in the
//! order of the records of each split.

use super::body::{Body, Record};
use super::order::Order;
use crate::gathering::{Complete, OPEN, packing};
use crate::time_pattern::STEP_MILLIS;
use jiff::Timestamp;
use parquet::errors::ParquetError;
use std::collections::{BTreeMap, HashMap};
use wasmill_stream::{Batch, Error, Lineage, Position, Result, SplitId};

/// Records that are not handed over yet.
pub struct Gathering {
    /// What all names begin with.
    prefix: String,
    /// Size at which a file is complete.
    limit: usize,
    run: u64,
    /// How many files were completed.
    completed: u64,
    /// Open files by source and hour.
    open: BTreeMap<Hour, Body>,
    /// How many bytes they take.
    bytes: usize,
    /// The hour of each split. A clock that goes back does not lead it back to a file that is complete already.
    hours: HashMap<SplitId, i64>,
}

/// What a file is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Hour {
    source: String,
    /// Hours since 1970-01-01.
    hour: i64,
}

impl Gathering {
    /// Nothing is open. `run`: the number of the run, or 0 in a job that does not count them.
    pub fn new(prefix: String, limit: usize, run: u64) -> Self {
        // As far as clocks go forward the runs of such a job follow each other too.
        let run = if run == 0 { u64::try_from(Timestamp::now().as_second()).unwrap_or_default() } else { run };
        let (open, hours) = Default::default();
        Self { prefix, limit, run, completed: 0, open, bytes: 0, hours }
    }

    /// Takes the records of a batch, and returns what has become complete by that.
    pub fn take(&mut self, batch: &Batch) -> Result<Vec<Complete>> {
        let foreign = || Error::internal("rows in an archive that are no records of a source");
        let lineage = batch.lineage.as_ref().ok_or_else(foreign)?;
        let (mut complete, split) = (Vec::new(), &lineage.split);
        let mut at = Hour { source: batch.step.to_string(), hour: i64::MIN };
        at.hour = self.hours.get(split).copied().unwrap_or(i64::MIN);
        for (row, &arrived) in batch.times.iter().enumerate() {
            let record = Record { data: batch.values.get(row), position: position(lineage, row)?, arrived };
            at.hour = at.hour.max(arrived.div_euclid(STEP_MILLIS));
            if !self.open.contains_key(&at) {
                let body = Body::new().map_err(corrupt)?;
                self.bytes += body.bytes();
                self.open.insert(at.clone(), body);
            }
            let Some(body) = self.open.get_mut(&at) else { continue };
            let before = body.bytes();
            body.push(split, &record).map_err(corrupt)?;
            self.bytes = self.bytes + body.bytes() - before;
            if let Some(due) = self.due(&at) {
                self.end(&due, &mut complete)?;
            }
        }
        if !batch.is_empty() {
            self.hours.insert(split.clone(), at.hour);
        }
        Ok(complete)
    }

    /// Completes everything.
    pub fn finish(&mut self) -> Result<Vec<Complete>> {
        let mut complete = Vec::new();
        while let Some(last) = self.open.keys().next_back().cloned() {
            self.end(&last, &mut complete)?;
        }
        Ok(complete)
    }

    /// What has to go: the file that was just written if it is large, the largest if there is too much in all.
    fn due(&self, written: &Hour) -> Option<Hour> {
        if self.open.get(written).map_or(0, Body::bytes) >= self.limit {
            return Some(written.clone());
        }
        if self.open.len() <= OPEN && self.bytes < 2 * self.limit {
            return None;
        }
        self.open.iter().max_by_key(|(_, body)| body.bytes()).map(|(at, _)| at.clone())
    }

    /// Completes a file, after those of the hours before: a split may have records in those, which come first.
    fn end(&mut self, last: &Hour, complete: &mut Vec<Complete>) -> Result<()> {
        let first = Hour { source: last.source.clone(), hour: i64::MIN };
        while let Some(at) = self.open.range(&first..=last).next().map(|(at, _)| at.clone()) {
            let Some(body) = self.open.remove(&at) else { break };
            self.bytes -= body.bytes();
            let (rows, order) = (body.records(), Order { run: self.run, number: self.completed });
            self.completed += 1;
            let bytes = body.finish(&at.source, order).map_err(corrupt)?;
            complete.push(Complete { prefix: format!("{}{}", self.prefix, at.folder()), bytes, rows });
        }
        Ok(())
    }
}

impl Hour {
    /// The folder of its files, as Hive names it.
    fn folder(&self) -> String {
        let time = Timestamp::from_millisecond(self.hour.saturating_mul(STEP_MILLIS)).unwrap_or(Timestamp::UNIX_EPOCH);
        format!("source={}/{}/", self.source, time.strftime("date=%Y-%m-%d/hour=%H"))
    }
}

fn position(lineage: &Lineage, row: usize) -> Result<Position> {
    let position = lineage.positions.get(lineage.record(row));
    position.ok_or_else(|| Error::internal(format!("{}: a record without a position", lineage.split)))
}

fn corrupt(error: ParquetError) -> Error {
    packing(std::io::Error::other(error))
}

#[cfg(test)]
mod tests;
