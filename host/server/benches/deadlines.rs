//! What the deadlines of guests cost on the taxi job: the share of its CPU time that would be saved without them.
//!
//! Three things keep deadlines. Compiled code looks at a counter in every loop and function: the job runs with and without
//! these checks, by turns, and the medians of its plugins' CPU time are compared. Around each call the host reads the
//! thread's CPU clock twice, and a thread of its own counts ticks: both are timed by themselves and set against the job.
//! The limits of memory and output are on in both: wasmtime asks for them only when a memory grows and while an answer is
//! lifted, and offers no way to leave out the latter.
//!
//! `cargo bench -p wasmill-server --bench deadlines`; `WASMILL_BENCH_EVENTS` sets the number of trips.

use anyhow::{Context, Result, anyhow, ensure};
use cpu_time::{ProcessTime, ThreadTime};
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use wasmill_connect::replay::taxi::{DEFAULT_RATE, DEFAULT_START, Trips};
use wasmill_plugin::Host;
use wasmill_server::build::build;
use wasmill_server::job::{self, JobFile, Parameters, Plugins};
use wasmill_server::run;

/// Odd, so that there is a median.
const ROUNDS: usize = 21;

/// What one run of the job used.
#[derive(Debug, Clone, Copy)]
struct Usage {
    /// CPU time of the whole process.
    job: Duration,
    /// CPU time within the plugins.
    plugins: Duration,
    calls: u64,
    results: u64,
}

fn main() -> Result<()> {
    let trips: u64 = match std::env::var("WASMILL_BENCH_EVENTS") {
        Ok(text) => text.parse().context("WASMILL_BENCH_EVENTS must be a number of events")?,
        Err(_) => 300_000,
    };
    let folder = tempfile::tempdir()?;
    let mut file = BufWriter::new(std::fs::File::create(folder.path().join("trips.jsonl"))?);
    for trip in Trips::new(Some(trips), 1, DEFAULT_RATE, DEFAULT_START) {
        writeln!(file, "{trip}")?;
    }
    file.flush()?;

    let ticker = ticker()?;
    let runtime = Runtime::new()?;
    let mut with = plugins(Host::new()?);
    let mut without = plugins(Host::without_deadlines()?);
    let run = |plugins: &mut Plugins| measured(&runtime, plugins, folder.path());
    for plugins in [&mut with, &mut without] {
        // Builds and compiles them outside the measurement.
        run(plugins)?;
    }
    let mut usages = Vec::new();
    for round in 0..ROUNDS {
        // Whichever comes first may find colder caches.
        let (kept, ignored) = if round % 2 == 0 {
            let kept = run(&mut with)?;
            (kept, run(&mut without)?)
        } else {
            let ignored = run(&mut without)?;
            (run(&mut with)?, ignored)
        };
        ensure!(
            kept.results == ignored.results,
            "{} results with deadlines, {} without",
            kept.results,
            ignored.results
        );
        usages.push((kept, ignored));
    }

    let of = |pick: &dyn Fn(&(Usage, Usage)) -> Duration| median(usages.iter().map(pick).collect());
    let (job, unchecked_job) = (of(&|pair| pair.0.job), of(&|pair| pair.1.job));
    let (plugins, unchecked) = (of(&|pair| pair.0.plugins), of(&|pair| pair.1.plugins));
    let per_trip = |time: Duration| time.as_secs_f64() * 1e9 / trips as f64;
    let (calls, look) = (usages[0].0.calls, look());
    println!("{trips} trips, medians of {ROUNDS} runs each        with    without");
    println!("CPU time of the job, ns per trip     {:>7.1}    {:>7.1}", per_trip(job), per_trip(unchecked_job));
    println!("  of that within its plugins         {:>7.1}    {:>7.1}", per_trip(plugins), per_trip(unchecked));
    let checks = (plugins.as_secs_f64() - unchecked.as_secs_f64()) / job.as_secs_f64();
    let clock = look.as_secs_f64() * 2.0 * calls as f64 / job.as_secs_f64();
    println!("share of the job: checks in compiled code      {:>6.2} %", checks * 100.0);
    println!(
        "                  CPU clock                    {:>6.2} % ({} ns a look, two in each of {calls} calls)",
        clock * 100.0,
        look.as_nanos()
    );
    println!("                  ticker                       {:>6.2} %", ticker * 100.0);
    println!("                  together                     {:>6.2} %", (checks + clock + ticker) * 100.0);
    println!("whole job with / without checks                {:>8.4}", job.as_secs_f64() / unchecked_job.as_secs_f64());
    Ok(())
}

fn plugins(host: Host) -> Plugins {
    Plugins::new(host, Some(Box::new(|dir| build(dir, &mut |line| eprintln!("{line}")))))
}

fn measured(runtime: &Runtime, plugins: &mut Plugins, folder: &Path) -> Result<Usage> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = JobFile::read(root.join("examples/taxi/job.toml")).map_err(|error| anyhow!(error.report()))?;
    let trips = folder.join("trips.jsonl").display().to_string();
    let set = [("in", trips), ("out", folder.join("out").display().to_string())];
    let loaded = job::load(&file, &Parameters::new(set), plugins);
    let mut job = loaded.map_err(|problems| anyhow!("{:?}", problems.first().map(|problem| &problem.message)))?;
    job.options.workers = 1;
    let start = ProcessTime::now();
    let ledger = runtime.block_on(run::to_end(job)).map_err(|error| anyhow!(error.report()))?;
    let used = start.elapsed();
    let guests = ledger.steps.iter().filter_map(|step| step.guests().listed.pop()).map(|guest| guest.ledger.counts());
    let (plugins, calls) =
        guests.fold((Duration::ZERO, 0), |(cpu, calls), guest| (cpu + guest.cpu, calls + guest.calls));
    let results = ledger.steps.iter().map(|step| step.counts().written).sum();
    Ok(Usage { job: used, plugins, calls, results })
}

/// CPU time of one look at the thread's CPU clock.
fn look() -> Duration {
    const LOOKS: u32 = 100_000;
    let start = ThreadTime::now();
    for _ in 0..LOOKS {
        black_box(ThreadTime::now());
    }
    start.elapsed() / LOOKS
}

/// The share of one core that the ticker takes, from a second in which it is alone. A job keeps at least one core busy.
fn ticker() -> Result<f64> {
    let host = Host::new()?;
    let (start, clock) = (ProcessTime::now(), Instant::now());
    sleep(Duration::from_secs(1));
    let share = start.elapsed().as_secs_f64() / clock.elapsed().as_secs_f64();
    drop(host);
    Ok(share)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
