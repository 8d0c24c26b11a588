//! The order in which logic meets accumulators: `merge` gets those of a key in the order of their time.

use super::*;
use crate::Result;
use crate::plugin::{Accumulated, Aggregate, Finished, Fired, Merged};

/// Logic whose accumulator is all values in the order in which they came.
struct Concat;

fn concat<'a>(old: Vec<Vec<u8>>, new: impl Iterator<Item = &'a [u8]>, groups: &[u32]) -> Binary {
    let mut texts = old;
    new.zip(groups).for_each(|(text, &group)| texts[group as usize].extend_from_slice(text));
    texts.into_iter().collect()
}

impl Aggregate for Concat {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        let old = accumulators.iter().map(<[u8]>::to_vec).collect();
        let values = batch.values.expect("values");
        Ok(Accumulated { accumulators: concat(old, values.iter(), groups), rejects: Vec::new() })
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        assert!(groups.is_sorted());
        Ok(concat(vec![Vec::new(); count as usize], accumulators.iter(), groups).into())
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        Ok(Finished { values: fired.accumulators.clone(), ..Finished::default() })
    }
}

/// Adds one row per batch, each with its time as value, and returns the results as text.
fn run(spec: WindowSpec, lateness: i64, watermark: i64, times: &[&[i64]]) -> Vec<String> {
    let mut windows = Windows::new(spec, ms(lateness));
    let mut results = Vec::new();
    for times in times {
        for &time in *times {
            let (keys, values): (Binary, Binary) = (["a"].into_iter().collect(), [format!("{time} ")].iter().collect());
            let view = View { times: &[time], keys: Some(&keys), values: Some(&values), fields: Vec::new() };
            windows.accumulate(&mut Concat, &keys, &key::hashes(&keys), &view).expect("logic that does not fail");
        }
        let batches = windows.advance(watermark, &mut Concat).expect("logic that does not fail").results;
        let values = batches.iter().flat_map(|batch| batch.values.iter());
        results.extend(values.map(|value| String::from_utf8_lossy(value).trim_end().to_owned()));
    }
    results
}

/// Slices filled from the last to the first → merged from the first to the last, in the first firing and in a correction.
#[test]
fn slices_are_merged_in_the_order_of_time() {
    let spec = WindowSpec::Sliding { size: ms(30), slide: ms(10), offset: ms(0) };
    assert_eq!(run(spec, 100, 30, &[&[25, 15, 5], &[6]])[2..], ["5 15 25", "5 6", "5 6 15", "5 6 15 25"]);
}

/// Sessions begun from the last to the first and then joined → merged from the first to the last, before the row between.
#[test]
fn sessions_are_merged_in_the_order_of_time() {
    let spec = WindowSpec::Session { gap: ms(10) };
    assert_eq!(run(spec, 0, 100, &[&[20, 0, 10]]), ["0 20 10"]);
}
