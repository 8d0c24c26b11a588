//! The same transform in Rust, JavaScript and Python, once from the bytes of trips, which it parses itself, and once from
//! fields that the host decodes: rows per second of one core, by CPU time. Each pair gives the same keys.
//!
//! `cargo bench -p wasmill-server --bench languages`

use anyhow::{Result, anyhow, ensure};
use cpu_time::ThreadTime;
use std::path::Path;
use wasmill_connect::replay::taxi::{DEFAULT_RATE, DEFAULT_START, Trips};
use wasmill_plugin::{Host, Limits};
use wasmill_server::build::build;
use wasmill_stream::field::{Decoder, FieldSpec};
use wasmill_stream::plugin::{SharedTransform, Transform, View};
use wasmill_stream::{Binary, Column};

/// What sources aim at.
const BATCH: usize = 4_096;
/// Calls are made until so much CPU time has passed.
const SECONDS: f64 = 2.0;
const FIELDS: [&str; 2] = ["/pickup_longitude: f64", "/pickup_latitude: f64"];
/// The plugins: from bytes, from fields.
const PLUGINS: [(&str, [&str; 2]); 3] = [
    ("Rust", ["benchmark/rust", "cell-key"]),
    ("JavaScript", ["benchmark/javascript/bytes", "benchmark/javascript/fields"]),
    ("Python", ["benchmark/python/bytes", "benchmark/python/fields"]),
];

fn main() -> Result<()> {
    let trips: Binary = Trips::new(Some(BATCH as u64), 1, DEFAULT_RATE, DEFAULT_START).collect();
    let times = vec![DEFAULT_START; BATCH];
    let specs = FIELDS.map(|field| field.parse::<FieldSpec>().expect("a valid field"));
    let mut decoder = Decoder::new(&specs);
    let columns = decoder.decode(&trips);
    let decoding = per_row(|| {
        std::hint::black_box(decoder.decode(&trips));
        Ok(())
    })?;

    println!("{BATCH} trips of {} bytes, the host decodes two fields in {decoding:.0} ns", trips.total_bytes() / BATCH);
    println!("                    bytes: parsed by the plugin     fields: decoded by the host     ratio");
    let host = Host::new().map_err(|error| anyhow!(error.report()))?;
    let mut expected = None;
    for (language, dirs) in PLUGINS {
        let mut costs = [0.0; 2];
        for ((cost, dir), fields) in costs.iter_mut().zip(dirs).zip([false, true]) {
            let plugin = plugin(&host, dir)?;
            let mut instance = plugin.instantiate().map_err(|error| anyhow!(error.report()))?;
            let fields: Vec<&Column> = if fields { columns.iter().collect() } else { Vec::new() };
            let values = fields.is_empty().then_some(&trips);
            let needs = plugin.needs();
            ensure!(needs.fields.len() == fields.len() && needs.reads_values == values.is_some(), "{dir} wants others");
            let view = View { times: &times, keys: None, values, fields };
            let keys = keys(&mut *instance, &view)?;
            ensure!(*expected.get_or_insert_with(|| keys.clone()) == keys, "{dir} gives other keys");
            *cost = per_row(|| self::keys(&mut *instance, &view).map(drop))?;
        }
        let [bytes, fields] = [costs[0], costs[1] + decoding];
        println!(
            "{language:<12} {:>12.0} rows/s {bytes:>8.0} ns  {:>12.0} rows/s {fields:>8.0} ns  {:>8.1}",
            1e9 / bytes,
            1e9 / fields,
            bytes / fields
        );
    }
    Ok(())
}

fn plugin(host: &Host, dir: &str) -> Result<SharedTransform> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(dir);
    let load = || {
        let path = build(&dir, &mut |line| eprintln!("{line}"))?;
        let bytes = std::fs::read(&path).expect("the build wrote a component");
        let component = host.load(&dir.display().to_string(), &bytes)?;
        host.transform(&component, "bench", "{}", Limits::default())
    };
    load().map_err(|error| anyhow!(error.report()))
}

/// The keys that a plugin gives the rows.
fn keys(instance: &mut dyn Transform, view: &View<'_>) -> Result<Binary> {
    let answer = instance.transform(view).map_err(|error| anyhow!(error.report()))?;
    answer.main.keys.ok_or_else(|| anyhow!("it sets no keys"))
}

/// CPU nanoseconds of this thread per row of a batch.
fn per_row(mut batch: impl FnMut() -> Result<()>) -> Result<f64> {
    batch()?;
    let (start, mut batches) = (ThreadTime::now(), 0);
    loop {
        batch()?;
        batches += 1;
        let passed = start.elapsed().as_secs_f64();
        if passed > SECONDS {
            return Ok(passed * 1e9 / (batches * BATCH) as f64);
        }
    }
}
