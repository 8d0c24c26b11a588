//! Many small jobs in one process: what they take while nothing comes, and while a little comes to each.

use crate::harness::chance::count;
use crate::harness::fleet::Fleet;
use crate::harness::latency::{Arrivals, percentile};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::process::taken;
use crate::harness::report;
use crate::harness::search::Search;
use crate::harness::strangers::IDENTITY;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// 2013-01-01T00:00:00Z
const START: i64 = 1_356_998_400_000;
/// A job begins with so many rows at once.
const FIRST: i64 = 20;
/// Then a row comes to each job every so many milliseconds.
const PACE: i64 = 100;

/// So many of them.
const ROWS: i64 = 200;
/// How long a row may wait for others to go on with, milliseconds. Jobs that are many share what a wake-up costs between more rows.
const PATIENCE: i64 = 500;

/// When the rows of a job are due, milliseconds after the first one, with nothing for so long between the first ones and the others.
fn dues(silence: i64) -> impl Iterator<Item = i64> {
    (0..FIRST).chain((0..ROWS).map(move |row| silence + row * PACE))
}

/// Jobs with a plugin, a sink and checkpoints each, to which nothing comes for a while, and then ten rows a second each → what
/// they take is printed for both times, and how late the rows are; every row of every job is there once.
#[test]
fn of_small_jobs() {
    let jobs = count("WASMILL_JOBS", 40);
    // Longer than it takes to start all jobs and to look at them.
    let silence = 30_000 + jobs as i64 * 90;
    let fleet = Fleet::new();
    let arrivals = Arrivals::new();
    let notes = arrivals.clone();
    let search = Search::start_with(move |index, document| {
        let row: Value = serde_json::from_str(document).expect("documents are JSON");
        notes.note(index, row["t"].as_i64().expect("a time") - START);
    });
    let lines = dues(silence).map(|due| json!({"t": START + due, "id": due}).to_string() + "\n");
    fs::write(fleet.path().join("in.jsonl"), lines.collect::<String>()).expect("it can be written");
    fs::copy(component("identity"), fleet.path().join("identity.wasm")).expect("it was built");
    for number in 0..jobs {
        let text = format!(
            "[source.rows]\ntype = \"replay\"\npath = \"in.jsonl\"\ntime = \"/t: time(unix-ms)\"\nspeedup = 1\n\
             event_time = \"/t: time(unix-ms)\"\n\
             [engine]\nepoch = \"{PATIENCE}ms\"\n\
             [step.same]\ninput = \"rows\"\nplugin = \"{IDENTITY}\"\n\
             [sink.out]\ninput = \"same\"\ntype = \"opensearch\"\nendpoint = \"{}\"\nindex = \"job-{number}\"\n\
             flush_interval = \"{PATIENCE}ms\"\n\
             [checkpoint]\nto = \"checkpoints/{number}\"\n",
            search.url
        );
        fleet.write(&format!("job-{number}"), &text);
    }
    let mut serving = fleet.start();
    let begun = Instant::now();
    until("the first rows of all jobs", || (arrivals.count() >= jobs * FIRST as usize).then_some(()));
    let started = begun.elapsed();
    // Each has written a checkpoint of them by then.
    sleep(Duration::from_secs(12));
    let (idle, since) = (taken(serving.id()), Instant::now());
    sleep(Duration::from_millis(silence as u64 - 2_000).saturating_sub(begun.elapsed()));
    let (rested, looked) = (taken(serving.id()), since.elapsed());
    let share = |from: Duration, to: Duration, time: Duration| (to - from).as_secs_f64() / time.as_secs_f64() * 100.0;
    let of_each = |bytes: u64| bytes as f64 / 1_048_576.0 / jobs as f64;
    report(&format!(
        "{jobs} idle jobs, started in {:.1} s: {:.2} % of a core, {:.2} MiB a job, {} threads",
        started.as_secs_f64(),
        share(idle.cpu, rested.cpu, looked),
        of_each(rested.memory),
        rested.threads
    ));
    until("rows after the silence", || (arrivals.count() >= jobs * (FIRST as usize + 1)).then_some(()));
    sleep(Duration::from_secs(2));
    let (active, since) = (taken(serving.id()), Instant::now());
    sleep(Duration::from_secs(10));
    let (busy, time) = (taken(serving.id()), since.elapsed());
    for number in 0..jobs {
        serving.until(&format!("job-{number}"), "finished");
    }
    let expected: BTreeSet<i64> = dues(silence).collect();
    for number in 0..jobs {
        let documents = search.documents(&format!("job-{number}"));
        let id = |document: &String| serde_json::from_str::<Value>(document).expect("JSON")["id"].as_i64();
        let ids: BTreeSet<i64> = documents.values().filter_map(id).collect();
        assert!(ids == expected && documents.len() == expected.len(), "job-{number}: {} rows", documents.len());
    }
    let delays = arrivals.delays(silence + 2_000, i64::MAX);
    report(&format!(
        "{jobs} jobs with ten rows a second each: {:.1} % of a core, {:.2} MiB a job; {} rows, later than the fastest of their \
         job by {} ms (median), {} ms (99 %), {} ms (all)",
        share(active.cpu, busy.cpu, time),
        of_each(busy.memory),
        delays.len(),
        percentile(&delays, 50).as_millis(),
        percentile(&delays, 99).as_millis(),
        percentile(&delays, 100).as_millis()
    ));
    serving.stop().well();
}
