//! CPU nanoseconds per row to cross into a plugin and back, beside native code behind the same trait in the same run:
//! the difference is what the sandbox costs. The plugins are real ones, built as `wasmill build` builds them.
//!
//! `cargo bench -p wasmill-server --bench boundary`

use cpu_time::ThreadTime;
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use wasmill_plugin::{Host, Limits};
use wasmill_server::build::build;
use wasmill_stream::binary::{BinaryBuilder, Span};
use wasmill_stream::plugin::{Rows, Transform, Transformed, View};
use wasmill_stream::{Binary, Cells, Column, Result};

/// Rows of a batch; 4,096 is what sources aim at.
const BATCHES: [usize; 2] = [1_024, 4_096];
/// Bytes of a value.
const VALUE: usize = 220;

/// An instance of a plugin of this repository.
fn plugin(host: &Host, name: &str) -> Box<dyn Transform> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(name);
    let path = build(&dir, &mut |line| eprintln!("{line}")).expect("the plugin builds");
    let bytes = std::fs::read(&path).expect("the build wrote a component");
    let component = host.load(name, &bytes).expect("the component loads");
    let plugin = host.transform(&component, name, "{}", Limits::default()).expect("it takes no settings");
    plugin.instantiate().expect("it has been instantiated before")
}

/// What `plugins/identity` does.
struct Identity;

impl Transform for Identity {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let main = Rows { values: batch.values.cloned(), ..Rows::default() };
        Ok(Transformed { main, ..Transformed::default() })
    }
}

/// What `plugins/cell-key` does.
struct CellKey;

impl Transform for CellKey {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let [Cells::Float(longitudes), Cells::Float(latitudes)] = [&batch.fields[0].cells, &batch.fields[1].cells]
        else {
            unreachable!("the benchmark gives two columns of numbers");
        };
        let mut keys = BinaryBuilder::with_capacity(longitudes.len(), longitudes.len() * 12);
        let (mut key, mut digits) = (Vec::new(), itoa::Buffer::new());
        for (longitude, latitude) in longitudes.iter().zip(latitudes) {
            key.clear();
            key.extend_from_slice(digits.format((longitude * 100.0).floor() as i32).as_bytes());
            key.push(b'|');
            key.extend_from_slice(digits.format((latitude * 100.0).floor() as i32).as_bytes());
            keys.push(&key);
        }
        let main = Rows { keys: Some(keys.finish()), ..Rows::default() };
        Ok(Transformed { main, ..Transformed::default() })
    }
}

/// Values with a line break between them, as a file has them, or end to end.
fn values(rows: usize, gap: usize) -> Binary {
    let bytes: Vec<u8> = (0..rows * (VALUE + gap)).map(|i| b' ' + (i * 7 % 90) as u8).collect();
    let span = |row: usize| {
        let start = (row * (VALUE + gap)) as u32;
        Span { start, end: start + VALUE as u32 }
    };
    Binary::from_spans(bytes, (0..rows).map(span).collect()).expect("spans within the bytes")
}

fn coordinates(rows: usize, origin: f64) -> Column {
    let cells = (0..rows).map(|row| origin + (row * 37 % 1_000) as f64 / 2_000.0).collect();
    Column { cells: Cells::Float(cells), faults: Vec::new() }
}

/// CPU time of this thread per row: the wall clock would also count what else the machine does.
fn per_row(bencher: &mut Bencher<'_>, instance: &mut dyn Transform, view: &View<'_>) {
    let rows = view.times.len() as u64;
    bencher.iter_custom(|wanted| {
        let batches = wanted.div_ceil(rows);
        let start = ThreadTime::now();
        for _ in 0..batches {
            black_box(instance.transform(black_box(view)).expect("the plugin takes every row"));
        }
        start.elapsed().mul_f64(wanted as f64 / (batches * rows) as f64)
    });
}

fn identity(criterion: &mut Criterion) {
    let host = Host::new().expect("the engine starts");
    let mut wasm = plugin(&host, "identity");
    let mut group = criterion.benchmark_group("220 bytes in and out");
    for rows in BATCHES {
        let times: Vec<i64> = (0..rows as i64).collect();
        for (layout, gap) in [("end to end", 0), ("in lines", 1)] {
            let values = values(rows, gap);
            let view = View { times: &times, keys: None, values: Some(&values), fields: Vec::new() };
            for (name, instance) in [("wasm", &mut *wasm), ("native", &mut Identity as &mut dyn Transform)] {
                let out = instance.transform(&view).expect("the plugin takes every row");
                assert!(out.main.values.as_ref() == Some(&values), "identity changes nothing");
                let title = format!("{name}, {rows} rows {layout}");
                group.bench_function(title, |bencher| per_row(bencher, instance, &view));
            }
        }
    }
}

fn cell_key(criterion: &mut Criterion) {
    let host = Host::new().expect("the engine starts");
    let mut wasm = plugin(&host, "cell-key");
    let mut group = criterion.benchmark_group("two numbers in, a key out");
    for rows in BATCHES {
        let times: Vec<i64> = (0..rows as i64).collect();
        let (longitudes, latitudes) = (coordinates(rows, -74.1), coordinates(rows, 40.6));
        let view = View { times: &times, keys: None, values: None, fields: vec![&longitudes, &latitudes] };
        let mut native = CellKey;
        let keys = |out: Result<Transformed>| out.expect("the plugin takes every row").main.keys;
        assert!(keys(wasm.transform(&view)) == keys(native.transform(&view)), "both give the same keys");
        for (name, instance) in [("wasm", &mut *wasm), ("native", &mut native as &mut dyn Transform)] {
            group.bench_function(format!("{name}, {rows} rows"), |bencher| per_row(bencher, instance, &view));
        }
    }
}

criterion_group!(benches, identity, cell_key);
criterion_main!(benches);
