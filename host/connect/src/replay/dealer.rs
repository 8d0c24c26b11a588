//! Deals records to splits: which split a record goes to, where the stream waits for its event time to come, and where
//! marker events stand. Pure, so that the same input always becomes the same stream; only [`super::pace`] looks at a clock.

use super::Markers;
use crate::lines::Run;
use wasmill_stream::field::{Decoder, FieldSpec};
use wasmill_stream::{Binary, Cells, Column, key};

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Cue {
    /// Wait until it is this event time, in milliseconds.
    Wait(i64),
    /// Hand over these records.
    Rows {
        /// To this split.
        split: usize,
        /// Number of the first record.
        first: u64,
        /// The records.
        values: Binary,
    },
}

/// Deals the records of one stream.
pub struct Dealer {
    splits: Vec<Split>,
    /// The split whose turn it is, without `partition_by`.
    turn: usize,
    /// Decodes the time, if there is one, and then the key, if there is one.
    decoder: Option<Decoder>,
    time: bool,
    key: bool,
    clock: Clock,
    /// Records whose times fall into the same so many milliseconds of event time are played together.
    slice: Option<i64>,
    slice_end: i64,
    markers: Option<Markers>,
}

#[derive(Default)]
struct Split {
    /// How many records it has got.
    count: u64,
    /// Rows of the run that is being dealt.
    rows: Vec<u32>,
}

impl Dealer {
    /// A dealer before its first record.
    pub fn new(
        splits: usize,
        time: Option<&FieldSpec>,
        partition_by: Option<&FieldSpec>,
        slice: Option<i64>,
        markers: Option<Markers>,
    ) -> Self {
        let time = time.filter(|_| slice.is_some() || markers.is_some());
        let partition_by = partition_by.filter(|_| splits > 1);
        let fields: Vec<_> = time.into_iter().chain(partition_by).cloned().collect();
        Self {
            splits: (0..splits).map(|_| Split::default()).collect(),
            turn: 0,
            decoder: (!fields.is_empty()).then(|| Decoder::new(&fields)),
            time: time.is_some(),
            key: partition_by.is_some(),
            clock: Clock::default(),
            slice,
            slice_end: i64::MIN,
            markers,
        }
    }

    /// Deals records that follow each other.
    pub fn deal(&mut self, run: Run, cues: &mut Vec<Cue>) {
        // A single split without markers counts by the lines of the file, which is what people look for.
        if self.splits.len() == 1 && self.markers.is_none() {
            self.splits[0].count = run.first - 1;
        }
        let Some(decoder) = &mut self.decoder else {
            if let [split] = self.splits.as_mut_slice() {
                let first = split.count + 1;
                split.count += run.values.len() as u64;
                cues.push(Cue::Rows { split: 0, first, values: run.values });
                return;
            }
            self.deal_rows(&run.values, None, None, cues);
            return;
        };
        let columns = decoder.decode(&run.values);
        let time = columns.first().filter(|_| self.time).map(times);
        let homes = columns.last().filter(|_| self.key).map(|column| self.homes(column));
        self.deal_rows(&run.values, time.as_deref(), homes.as_deref(), cues);
    }

    /// What comes after the last record.
    pub fn finish(&mut self, cues: &mut Vec<Cue>) {
        if let Some(marker) = self.markers.as_ref().and_then(Markers::last) {
            self.deal_marker(&marker, cues);
        }
    }

    fn deal_rows(
        &mut self,
        values: &Binary,
        times: Option<&[Option<i64>]>,
        homes: Option<&[u32]>,
        cues: &mut Vec<Cue>,
    ) {
        for row in 0..values.len() {
            let time = times.and_then(|times| times[row]);
            let now = time.and_then(|time| self.clock.advance(time));
            if let (Some(slice), Some(now)) = (self.slice, now)
                && now >= self.slice_end
            {
                self.flush(values, cues);
                let start = now.div_euclid(slice).saturating_mul(slice);
                self.slice_end = start.saturating_add(slice);
                cues.push(Cue::Wait(start));
            }
            let split = homes.map_or(self.turn, |homes| homes[row] as usize);
            self.turn = (self.turn + 1) % self.splits.len();
            self.splits[split].rows.push(row as u32);
            if let (Some(markers), Some(time)) = (&mut self.markers, time)
                && let Some(marker) = markers.after(time, now)
            {
                self.flush(values, cues);
                self.deal_marker(&marker, cues);
            }
        }
        self.flush(values, cues);
    }

    fn flush(&mut self, values: &Binary, cues: &mut Vec<Cue>) {
        for (at, split) in self.splits.iter_mut().enumerate().filter(|(_, split)| !split.rows.is_empty()) {
            let first = split.count + 1;
            split.count += split.rows.len() as u64;
            cues.push(Cue::Rows { split: at, first, values: values.select(&split.rows) });
            split.rows.clear();
        }
    }

    fn deal_marker(&mut self, marker: &Binary, cues: &mut Vec<Cue>) {
        for (at, split) in self.splits.iter_mut().enumerate() {
            split.count += 1;
            cues.push(Cue::Rows { split: at, first: split.count, values: marker.clone() });
        }
    }

    /// The split of each row by the hash of its key; rows without one go to the first.
    fn homes(&self, keys: &Column) -> Vec<u32> {
        let home = |bytes: &[u8]| (key::hash(bytes) % self.splits.len() as u64) as u32;
        let mut homes: Vec<u32> = match &keys.cells {
            Cells::Text(cells) => cells.iter().map(home).collect(),
            Cells::Int(cells) => cells.iter().map(|cell| home(&cell.to_le_bytes())).collect(),
            Cells::Float(cells) => cells.iter().map(|cell| home(&cell.to_bits().to_le_bytes())).collect(),
            Cells::Bool(cells) => cells.iter().map(|cell| home(&[u8::from(*cell)])).collect(),
        };
        for fault in &keys.faults {
            homes[fault.row as usize] = 0;
        }
        homes
    }
}

/// The times of a decoded column; `None`: there is none.
pub fn times(column: &Column) -> Vec<Option<i64>> {
    let Cells::Int(cells) = &column.cells else { return vec![None; column.len()] };
    let mut times: Vec<_> = cells.iter().copied().map(Some).collect();
    for fault in &column.faults {
        times[fault.row as usize] = None;
    }
    times
}

/// The event time of the stream: what the last three records have all reached. One or two records from the far future
/// therefore neither hold up the replay nor push the markers ahead, also if they are the first.
#[derive(Default)]
pub struct Clock {
    recent: [Option<i64>; 2],
}

impl Clock {
    /// The event time with this record, once there are three.
    pub fn advance(&mut self, time: i64) -> Option<i64> {
        let [a, b] = self.recent;
        self.recent = [b, Some(time)];
        Some(a?.min(b?).min(time))
    }
}

#[cfg(test)]
mod tests;
