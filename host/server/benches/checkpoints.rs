//! What checkpoints cost: one native aggregation over many keys, first without and then with a checkpoint every ten seconds
//! into a local folder, in one process. Prints rows per second of both, how long the step stood still, what was written,
//! and how long a start from the last checkpoint takes until the first row reaches a sink.
//!
//! `cargo bench --workspace --bench checkpoints`. `WASMILL_BENCH_STATE` sets the size of the state in MiB (default 256), of
//! which a tenth changes between two checkpoints.

#[path = "checkpoints/parts.rs"]
mod parts;

use anyhow::{Result, ensure};
use parts::{Arrivals, Keys, Sums};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use wasmill_connect::checkpoint_store::StorePlace;
use wasmill_engine::{Checkpoints, Graph, Input, Known, Node, NodeKind, Options, Port, Running, SinkTerms, Tolerance};
use wasmill_stream::checkpoint::Store;
use wasmill_stream::units::{ByteCount, Period};
use wasmill_stream::watermark::{EventTime, WatermarkSpec};
use wasmill_stream::window::WindowSpec;

/// How often a checkpoint is taken, and how long rows are counted.
const INTERVAL: Duration = Duration::from_secs(10);
const MEASURED: Duration = Duration::from_secs(31);
/// Bytes of an accumulator; with its key and what belongs to it, a key takes about [`KEY_BYTES`].
const ACCUMULATOR: usize = 100;
const KEY_BYTES: u64 = 250;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let mebibytes: u64 = std::env::var("WASMILL_BENCH_STATE").ok().map_or(Ok(256), |text| text.parse())?;
    let keys = (mebibytes << 20) / KEY_BYTES;
    println!("{mebibytes} MiB of state, {keys} keys, a tenth of which changes between two checkpoints");
    let folder = tempfile::tempdir()?;
    let store = StorePlace::folder(folder.path()).open().await?;
    let (without, _) = measure(keys, None).await?;
    let (with, known) = measure(keys, Some(store.clone())).await?;
    println!("without checkpoints  {:>6.2} M rows/s", without / 1e6);
    println!("every {} s           {:>6.2} M rows/s, ratio {:.3}", INTERVAL.as_secs(), with / 1e6, with / without);
    println!("longest pause        {:>6.0} ms", known.cost.pause.as_secs_f64() * 1e3);
    println!("  while all was new  {:>6.0} ms", known.longest_pause.as_secs_f64() * 1e3);
    let mut bytes = 0;
    for name in store.list("state/").await? {
        bytes += store.get(&name).await?.map_or(0, |object| object.len());
    }
    println!("checkpoints          {:>6}, the last wrote {} MiB", known.published, known.cost.written >> 20);
    println!("in the store         {:>6} MiB", bytes >> 20);
    println!("recovery             {:>6.2} s to the first row", recovery(keys, store).await?.as_secs_f64());
    Ok(())
}

/// Rows per second once every key has a state, and what is known of the checkpoints.
async fn measure(keys: u64, store: Option<Arc<dyn Store>>) -> Result<(f64, Known)> {
    let (running, seen) = start(keys, store).await?;
    let stopper = running.stopper();
    let status = running.checkpoints().cloned();
    let ended = tokio::spawn(running.wait());
    while seen.load(Relaxed) < keys {
        ensure!(!ended.is_finished(), "the job ended: {:?}", ended.await??.step("sums").map(|step| step.counts()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What is measured begins when the first checkpoint with all of it is written: that one costs what the whole state does.
    let published = || status.as_ref().map_or(0, |status| status.look().published);
    let filled = published();
    while status.is_some() && published() < filled + 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (begun, before) = (Instant::now(), seen.load(Relaxed));
    let mut pause = Duration::ZERO;
    while begun.elapsed() < MEASURED {
        tokio::time::sleep(Duration::from_millis(100)).await;
        pause = pause.max(status.as_ref().map_or(Duration::ZERO, |status| status.look().cost.pause));
    }
    let rate = (seen.load(Relaxed) - before) as f64 / begun.elapsed().as_secs_f64();
    let mut known = status.map(|status| status.look()).unwrap_or_default();
    known.cost.pause = pause;
    stopper.stop();
    ended.await??;
    Ok((rate, known))
}

/// From the start until a row has come through.
async fn recovery(keys: u64, store: Arc<dyn Store>) -> Result<Duration> {
    let begun = Instant::now();
    let (running, seen) = start(keys, Some(store)).await?;
    while seen.load(Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = begun.elapsed();
    running.stopper().stop();
    running.wait().await?;
    Ok(took)
}

async fn start(keys: u64, store: Option<Arc<dyn Store>>) -> Result<(Running, Arc<AtomicU64>)> {
    let seen = Arc::new(AtomicU64::new(0));
    let node = |name: &str, inputs: &[usize], kind| Node {
        name: name.to_owned(),
        inputs: inputs.iter().map(|&node| Input { node, port: Port::Main }).collect(),
        kind,
        tolerance: Tolerance::default(),
    };
    let source = NodeKind::Source {
        source: Box::new(Keys { count: keys }),
        decoder: Some(Arc::new(parts::ByKey::default())),
        time: EventTime::Plugin,
        watermark: WatermarkSpec::default(),
    };
    let windows = WindowSpec::Tumbling { size: Period::from_millis(1 << 40), offset: Period::default() };
    let sums =
        NodeKind::Aggregate { plugin: Arc::new(Sums::new(ACCUMULATOR)), windows, allowed_lateness: Period::default() };
    let nodes = vec![
        node("keys", &[], source),
        node("sums", &[0], sums),
        node(
            "rows",
            &[0],
            NodeKind::Sink { sink: Box::new(Arrivals { seen: seen.clone() }), terms: SinkTerms::default() },
        ),
        node(
            "results",
            &[1],
            NodeKind::Sink { sink: Box::new(Arrivals { seen: Arc::default() }), terms: SinkTerms::default() },
        ),
    ];
    let checkpoints = store.map(|store| Checkpoints {
        store,
        interval: INTERVAL,
        retain: 2,
        rewind: Duration::ZERO,
        job: "bench".to_owned(),
        definition: String::new(),
        fresh: false,
        declared: Default::default(),
    });
    let options = Options { state_limit: ByteCount::new(16 << 30), checkpoints, ..Options::default() };
    let running = wasmill_engine::start(Graph { nodes, dead_letters: None, successors: Vec::new() }, options).await?;
    Ok((running, seen))
}
