//! The records of a page, aggregates unpacked, in the parts in which they are handed on. Pure.

use super::aggregate::{self, Hashes, UserRecord};
use super::settings::LeaveOut;
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::{Binary, ExtendedSequence, Positions, Sequence};

/// Rows to hand on.
#[derive(Debug, PartialEq)]
pub struct Part {
    /// Their bytes.
    pub values: Binary,
    /// Where they stand.
    pub positions: Positions,
    /// When they arrived, if that is known of the page. User records arrived when theirs did.
    pub arrivals: Option<Vec<i64>>,
    /// Where the last of them stands.
    pub last: ExtendedSequence,
}

/// The records of a page as the server sent them.
#[derive(Default)]
pub struct Records {
    /// Their bytes.
    pub values: Binary,
    /// Their sequence numbers.
    pub sequences: Vec<Sequence>,
    /// When they arrived, in milliseconds, if somebody asked for it and the server says.
    pub arrivals: Option<Vec<i64>>,
    /// Whether one of them may be an aggregate.
    pub may_have_aggregates: bool,
}

/// What is left of a page.
pub struct Chunks<'a> {
    records: Records,
    /// How many rows a part has at most. A page of 10 MB may hold more than a million user records, which would take ten
    /// times its memory if they were all unpacked at once.
    rows: usize,
    /// The hashes of the shard's keys, if they are known.
    hashes: Option<&'a Hashes>,
    /// What is left out with a user record of another shard.
    leave_out: LeaveOut,
    /// What was handed on before.
    after: Option<ExtendedSequence>,
    /// The next record.
    at: usize,
    /// What is left of it, if it is an aggregate that was begun.
    begun: Option<std::vec::IntoIter<UserRecord>>,
    /// User records that were left out because they belong to other shards.
    elsewhere: u64,
}

impl<'a> Chunks<'a> {
    /// The records of a page behind `after`, which is in its first record if it is in any.
    pub fn new(records: Records, rows: usize, hashes: Option<&'a Hashes>, after: Option<ExtendedSequence>) -> Self {
        Self { records, rows, hashes, leave_out: LeaveOut::UserRecord, after, at: 0, begun: None, elsewhere: 0 }
    }

    /// The same, leaving out this.
    pub fn leaving_out(self, leave_out: LeaveOut) -> Self {
        Self { leave_out, ..self }
    }

    /// How many user records were left out so far because some belong to other shards.
    pub fn elsewhere(&self) -> u64 {
        self.elsewhere
    }

    /// The page as it is, but for its first record if that was handed on.
    fn whole(&mut self) -> Option<Part> {
        let Records { mut values, mut sequences, mut arrivals, .. } = std::mem::take(&mut self.records);
        let first = sequences.first().copied().map(ExtendedSequence::from);
        if first.is_some_and(|first| self.after.is_some_and(|after| after.covers(&first))) {
            sequences.remove(0);
            arrivals.as_mut().map(|arrivals| arrivals.remove(0));
            values = values.select(&(1..values.len() as u32).collect::<Vec<_>>());
        }
        let last = (*sequences.last()?).into();
        Some(Part { values, positions: Positions::Sequences(sequences), arrivals, last })
    }

    /// The next rows, aggregates unpacked.
    fn part(&mut self) -> Option<Part> {
        let (mut values, mut places) = (BinaryBuilder::default(), Vec::new());
        let mut arrivals = self.records.arrivals.is_some().then(Vec::new);
        while places.len() < self.rows
            && let Some(&sequence) = self.records.sequences.get(self.at)
        {
            let record = self.records.values.get(self.at);
            let arrived = self.records.arrivals.as_ref().and_then(|arrivals| arrivals.get(self.at)).copied();
            let is_new = |place| !self.after.is_some_and(|after| after.covers(&place));
            let (place, bytes) = match &mut self.begun {
                Some(rest) => match rest.next() {
                    Some(UserRecord { sub, start, end }) => {
                        let bytes = record.get(start as usize..end as usize).unwrap_or_default();
                        (ExtendedSequence { sequence, sub: Some(sub) }, bytes)
                    }
                    None => {
                        self.begun = None;
                        self.at += 1;
                        continue;
                    }
                },
                None => match aggregate::read(record, self.hashes) {
                    Some(mut aggregate) => {
                        if self.leave_out == LeaveOut::Aggregate && aggregate.elsewhere > 0 {
                            self.elsewhere += std::mem::take(&mut aggregate.records).len() as u64;
                        }
                        self.elsewhere += u64::from(aggregate.elsewhere);
                        self.begun = Some(aggregate.records.into_iter());
                        continue;
                    }
                    None => {
                        self.at += 1;
                        (sequence.into(), record)
                    }
                },
            };
            if is_new(place) {
                values.push(bytes);
                places.push(place);
                arrivals.as_mut().zip(arrived).into_iter().for_each(|(arrivals, arrived)| arrivals.push(arrived));
            }
        }
        let last = *places.last()?;
        Some(Part { values: values.finish(), positions: Positions::Extended(places), arrivals, last })
    }
}

impl Iterator for Chunks<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Self::Item> {
        if self.records.may_have_aggregates { self.part() } else { self.whole() }
    }
}

#[cfg(test)]
mod tests;
