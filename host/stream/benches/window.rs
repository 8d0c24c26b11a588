//! Cost of windows per row, with native logic that counts: 3,600 keys, batches of 4,096 rows, ten windows' worth of time.
//! The figure includes that logic (some 10 ns) and the firing of every window.

#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::plugin::{Accumulated, Aggregate, Finished, Fired, Merged, View};
use wasmill_stream::units::Period;
use wasmill_stream::window::{WindowSpec, Windows};
use wasmill_stream::{Binary, Result, key};

const KEYS: u64 = 3_600;
const ROWS: usize = 4_096;
const BATCHES: i64 = 60;
/// Event time from batch to batch: a window of ten minutes gets six batches.
const BATCH_MILLIS: i64 = 100_000;

/// The accumulator is the number of rows, 8 bytes.
struct Count;

fn number(accumulator: &[u8]) -> u64 {
    accumulator.try_into().map_or(0, u64::from_le_bytes)
}

fn column(numbers: &[u64]) -> Binary {
    let mut column = BinaryBuilder::with_capacity(numbers.len(), 8 * numbers.len());
    numbers.iter().for_each(|number| column.push(&number.to_le_bytes()));
    column.finish()
}

impl Aggregate for Count {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], _: &View<'_>) -> Result<Accumulated> {
        let mut counts: Vec<u64> = accumulators.iter().map(number).collect();
        groups.iter().for_each(|&group| counts[group as usize] += 1);
        Ok(Accumulated { accumulators: column(&counts), rejects: Vec::new() })
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        let mut sums = vec![0; count as usize];
        accumulators.iter().zip(groups).for_each(|(bytes, &group)| sums[group as usize] += number(bytes));
        Ok(column(&sums).into())
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        Ok(Finished { values: fired.accumulators.clone(), ..Finished::default() })
    }
}

struct Rows {
    times: Vec<i64>,
    keys: Binary,
    hashes: Vec<u64>,
}

/// Batches of rows in a rising stretch of time each, keys and disorder by a fixed random sequence.
fn batches(disorder: i64) -> Vec<Rows> {
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut batch = |at: i64| {
        let keys: Binary = (0..ROWS).map(|_| format!("dr5r{:04}", random(KEYS))).collect();
        let time = |row: usize| at * BATCH_MILLIS + row as i64 * BATCH_MILLIS / ROWS as i64;
        let times = (0..ROWS).map(|row| time(row) - random(disorder as u64) as i64).collect();
        let hashes = key::hashes(&keys);
        Rows { times, keys, hashes }
    };
    (0..BATCHES).map(&mut batch).collect()
}

fn run(spec: WindowSpec, disorder: i64, batches: &[Rows]) -> usize {
    let mut windows = Windows::new(spec, Period::from_millis(0));
    let mut results = 0;
    for (at, Rows { times, keys, hashes }) in (0..).zip(batches) {
        let view = View { times, keys: Some(keys), values: None, fields: Vec::new() };
        let taken = windows.accumulate(&mut Count, keys, hashes, &view).expect("a batch");
        assert!(taken.late.is_empty());
        let fired = windows.advance((at + 1) * BATCH_MILLIS - disorder, &mut Count).expect("a watermark").results;
        results += fired.iter().map(|batch| batch.len()).sum::<usize>();
    }
    results
}

fn windows(c: &mut Criterion) {
    let mut group = c.benchmark_group("window");
    group.throughput(Throughput::Elements(BATCHES as u64 * ROWS as u64));
    let (size, offset) = (Period::from_millis(600_000), Period::from_millis(0));
    let every = |slide| WindowSpec::Sliding { size, slide: Period::from_millis(slide), offset };
    let cases = [
        ("tumbling in order", WindowSpec::Tumbling { size, offset }, 1),
        ("tumbling in disorder", WindowSpec::Tumbling { size, offset }, 200_000),
        ("sliding by a half", every(300_000), 1),
        ("sliding by a tenth", every(60_000), 1),
        ("sessions", WindowSpec::Session { gap: Period::from_millis(30_000) }, 1_000),
    ];
    for (name, spec, disorder) in cases {
        let batches = batches(disorder);
        group.bench_function(name, |b| b.iter(|| run(spec, disorder, black_box(&batches))));
    }
    group.finish();
}

criterion_group!(benches, windows);
criterion_main!(benches);
