//! What following the watermark of a split costs per row: beside the latest time of the rows alone, which it cannot be had
//! without; over history in which every chunk leaps; and with a row from the far future in each chunk.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use wasmill_stream::watermark::{SplitClock, WatermarkSpec};

const ROWS: i64 = 4_096;
const CHUNKS: i64 = 64;
const NOW: i64 = 1_700_000_000_000;
const DAY: i64 = 86_400_000;

/// Chunks of rows that are `apart` milliseconds from each other, out of order by a few seconds.
fn chunks(apart: i64) -> Vec<Vec<i64>> {
    let time = |row: i64| NOW - DAY * 365 + row * apart - row * 7_919 % 5_000;
    (0..CHUNKS).map(|chunk| (chunk * ROWS..(chunk + 1) * ROWS).map(time).collect()).collect()
}

fn watermark(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("watermark");
    group.throughput(Throughput::Elements((ROWS * CHUNKS) as u64));
    let mut future = chunks(1);
    future.iter_mut().for_each(|chunk| chunk[ROWS as usize / 2] = NOW + DAY);
    let live = chunks(1);
    group.bench_function("latest time alone", |bench| {
        bench.iter(|| live.iter().map(|chunk| chunk.iter().copied().max()).fold(None, Ord::max));
    });
    for (name, chunks) in [("in steps", live.clone()), ("leaping", chunks(10_000)), ("with the far future", future)] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let mut clock = SplitClock::new(WatermarkSpec::default(), NOW);
                chunks.iter().for_each(|chunk| {
                    black_box(clock.rows(chunk, NOW));
                });
                clock.watermark()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, watermark);
criterion_main!(benches);
