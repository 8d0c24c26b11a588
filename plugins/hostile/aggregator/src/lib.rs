//! An aggregator that does harm, for the tests of the host; see `plugins/hostile/README.md`. It counts rows in a u64, and is
//! written on the bare bindings, because the SDK does not let one lie.

#![expect(clippy::panic, reason = "a plugin that panics is what the host is tested with")]

use hostile_deeds::{Deed, not_utf8, stamped};
use std::cell::RefCell;
use wasmill::bindings::aggregate::{Accumulated, Finished, Fired};
use wasmill::bindings::{Description, Failure, Lifecycle, aggregate};
use wasmill::{Batch, Binary, Needs, Reject, Settings};

#[derive(Settings)]
struct Hostile {
    /// What it does to bad rows.
    #[setting(default = "nothing")]
    r#do: Deed,
    /// What is wrong with its answers, if a row is bad; those without rows always are.
    #[setting(default = "honest")]
    answer: Answer,
    /// Rows whose `/id` is a multiple of this are bad; 1 makes all so.
    #[setting(default = 1000, minimum = 1)]
    every: i64,
    /// How much of it: rounds, lines, results or bytes.
    #[setting(default = 1000000)]
    amount: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
enum Answer {
    /// Counts, and returns the counts with the starts of their windows and their keys.
    Honest,
    /// One accumulator less than it was given.
    FewerAccumulators,
    /// Accumulators of `amount` bytes.
    HugeAccumulators,
    /// Accumulators whose ends fall.
    FallingEnds,
    /// A refusal of a row that was not in the batch.
    UnknownReject,
    /// One merged accumulator too many.
    MoreMerged,
    /// A result of an accumulator that has not fired.
    UnknownResult,
    /// Results backwards.
    DescendingResults,
    /// `amount` results of each accumulator.
    ManyResults,
    /// Results that are no UTF-8.
    NotUtf8Result,
    /// A refusal of an accumulator that also has a result.
    RejectedResult,
    /// Accumulators refused for a reason that is no UTF-8.
    NotUtf8Reason,
    /// `finish` never returns.
    LoopInFinish,
    /// `merge` panics.
    PanicInMerge,
    /// `finish` fails, and might not.
    RetryInFinish,
}

impl Hostile {
    fn accumulate(&self, accumulators: &Binary, groups: &[u32], batch: &Batch) -> Result<Accumulated, Failure> {
        let ids = batch.fields.first().and_then(|ids| ids.ints());
        let ids = ids.ok_or_else(|| Failure::Fatal("the host sent no column of s64 for field /id".into()))?;
        self.r#do.in_call(ids.len());
        let bad = ids.iter().filter(|id| *id % self.every == 0).count();
        (0..bad).for_each(|_| self.r#do.to_row(self.amount));
        let mut counts: Vec<u64> = accumulators.iter().map(count).collect();
        groups.iter().for_each(|&group| counts[group as usize] += 1);
        let mut answer = Accumulated { accumulators: column(&counts), rejects: Vec::new() };
        match self.answer {
            _ if bad == 0 => {}
            Answer::FewerAccumulators => answer.accumulators = column(&counts[1..]),
            Answer::HugeAccumulators => answer.accumulators = counts.iter().map(|_| vec![0; self.amount]).collect(),
            Answer::FallingEnds => answer.accumulators.ends.reverse(),
            Answer::UnknownReject => answer.rejects = vec![reject(batch.times.len(), "unknown")],
            _ => {}
        }
        Ok(answer)
    }

    fn merge(&self, accumulators: &Binary, groups: &[u32], results: u32) -> Binary {
        let mut counts = vec![0; results as usize];
        accumulators.iter().zip(groups).for_each(|(bytes, &group)| counts[group as usize] += count(bytes));
        match self.answer {
            Answer::MoreMerged => counts.push(1),
            Answer::PanicInMerge => panic!("no merging"),
            _ => {}
        }
        column(&counts)
    }

    fn finish(&self, fired: &Fired) -> Result<Finished, Failure> {
        let windows = fired.keys.len() as u32;
        let each = |result: &[u8]| (0..windows).map(|_| result).collect::<Binary>();
        let result = |((&start, key), bytes): ((&i64, &[u8]), &[u8])| {
            serde_json::json!({"start": start, "key": String::from_utf8_lossy(key), "count": count(bytes)}).to_string()
        };
        let counts = fired.starts.iter().zip(fired.keys.iter()).zip(fired.accumulators.iter()).map(result).collect();
        let honest = Finished { origins: Some((0..windows).collect()), values: counts, rejects: Vec::new() };
        let none = |reason: &str| Finished {
            origins: Some(Vec::new()),
            values: Binary::default(),
            rejects: (0..windows as usize).map(|window| reject(window, reason)).collect(),
        };
        Ok(match self.answer {
            Answer::UnknownResult => Finished { origins: Some(vec![windows; windows as usize]), ..honest },
            Answer::DescendingResults => Finished { origins: Some((0..windows).rev().collect()), ..honest },
            Answer::ManyResults => {
                let origins: Vec<u32> = (0..windows).flat_map(|window| vec![window; self.amount]).collect();
                let values = origins.iter().map(|_| "1").collect();
                Finished { origins: Some(origins), values, ..honest }
            }
            Answer::NotUtf8Result => Finished { values: each(b"\"\xff\xc3(\""), ..honest },
            Answer::RejectedResult => Finished { rejects: vec![reject(0, "both")], ..honest },
            Answer::NotUtf8Reason => none(&not_utf8()),
            Answer::LoopInFinish if windows > 0 => {
                Deed::Loop.to_row(0);
                honest
            }
            Answer::RetryInFinish => return Err(Failure::Retry("later, perhaps".into())),
            _ => honest,
        })
    }
}

fn count(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn column(counts: &[u64]) -> Binary {
    counts.iter().map(|count| count.to_le_bytes()).collect()
}

fn reject(row: usize, reason: &str) -> Reject {
    Reject { row: row as u32, reason: reason.to_owned() }
}

thread_local! {
    static PLUGIN: RefCell<Option<Hostile>> = const { RefCell::new(None) };
}

fn plugin<T>(call: impl FnOnce(&Hostile) -> Result<T, Failure>) -> Result<T, Failure> {
    let early = || Failure::Fatal("a call came before configure".into());
    PLUGIN.with_borrow(|plugin| call(plugin.as_ref().ok_or_else(early)?))
}

struct Component;

impl Lifecycle for Component {
    fn describe() -> Description {
        wasmill::describe!(Hostile, 1)
    }

    fn configure(settings: String) -> Result<Needs, String> {
        wasmill::log::report_panics();
        let plugin: Hostile = stamped().map_or_else(|| wasmill::settings::parse(&settings), Ok)?;
        plugin.r#do.in_configure(plugin.amount)?;
        PLUGIN.set(Some(plugin));
        Ok(Needs { fields: vec!["/id: s64".into()], writes_values: true, ..Needs::default() })
    }

    fn migrate(_from_version: u32, states: Binary) -> Result<Binary, Failure> {
        Ok(states)
    }
}

impl aggregate::Guest for Component {
    fn accumulate(accumulators: Binary, groups: Vec<u32>, batch: Batch) -> Result<Accumulated, Failure> {
        plugin(|plugin| plugin.accumulate(&accumulators, &groups, &batch))
    }

    fn merge(accumulators: Binary, groups: Vec<u32>, count: u32) -> Result<Binary, Failure> {
        plugin(|plugin| Ok(plugin.merge(&accumulators, &groups, count)))
    }

    fn finish(fired: Fired) -> Result<Finished, Failure> {
        plugin(|plugin| plugin.finish(&fired))
    }
}

// Without WebAssembly nothing calls the plugin; it is still no dead code.
#[cfg(not(target_arch = "wasm32"))]
const _: fn(String) -> Result<Needs, String> = <Component as Lifecycle>::configure;
#[cfg(not(target_arch = "wasm32"))]
const _: fn(Fired) -> Result<Finished, Failure> = <Component as aggregate::Guest>::finish;
#[cfg(target_arch = "wasm32")]
wasmill::bindings::export_lifecycle!(Component with_types_in wasmill::bindings::lifecycle);
#[cfg(target_arch = "wasm32")]
wasmill::bindings::export_aggregation!(Component with_types_in wasmill::bindings::aggregation);

#[cfg(test)]
mod tests;
