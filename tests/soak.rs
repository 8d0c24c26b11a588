//! Swaps by the hundred under load: a transform, an aggregator with open windows and a process with waiting rows take turns,
//! between builds of one logic and between versions of one state.

use crate::harness::builds::another;
use crate::harness::chance::count;
use crate::harness::host::Host;
use crate::harness::live::{Gaps, course, history, listens, obeyed};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::report;
use crate::harness::stream::replace;
use crate::harness::versions;
use crate::pipeline::{self, Input, PLUGINS, Pipeline, Turn};
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Records per second.
const RATE: usize = 5_000;
/// So many records there are for each swap: what is left of them goes through in the end, as fast as it can.
const RECORDS: usize = 8_000;
/// The steps of [`PLUGINS`].
const STEPS: [&str; 3] = ["cells", "averages", "alerts"];
/// So many versions of the aggregator, each of which understands the states of those before.
const CHAIN: u32 = 3;

/// Two builds of each plugin, by turns, and of the newest version of the aggregator.
struct Builds<'d> {
    dir: &'d Path,
    made: usize,
}

impl Builds<'_> {
    /// Another build of a plugin, where the job finds it when it starts again.
    fn next(&mut self, step: usize, version: u32) -> String {
        self.made += 1;
        let name = if STEPS[step] == "averages" { versions::name(version) } else { PLUGINS[step].to_owned() };
        let bytes = fs::read(component(&name)).expect("it was built");
        let file = format!("{}.wasm", PLUGINS[step]);
        replace(&self.dir.join(&file), &another(&bytes, self.made / STEPS.len() % 2));
        file
    }
}

/// Swaps in turns, and says of each how long workers stood still for it.
fn swap_in_turns(dir: &Path, host: &mut Host, swaps: usize) -> Gaps {
    let (mut builds, mut gaps) = (Builds { dir, made: 0 }, Gaps::default());
    let mut version = 1;
    for number in 0..swaps {
        let step = number % STEPS.len();
        // Two thirds of the way are with version 1 and 2.
        let newest = (number as u32 * CHAIN / swaps as u32).min(CHAIN - 1) + 1;
        let is_next = STEPS[step] == "averages" && newest > version;
        let probation = match (number / STEPS.len()) % 2 {
            _ if is_next && newest == CHAIN => "100ms",
            0 => "0s",
            _ if is_next => "0s",
            _ => "200ms",
        };
        version = if STEPS[step] == "averages" { newest } else { version };
        let file = builds.next(step, version);
        let status = host.status();
        assert!(status.is_none(), "after {number} swaps it has ended ({status:?}): {}", host.text());
        gaps.add(&obeyed(dir, &["swap", "job.toml", STEPS[step], &file, "--probation", probation]));
        if is_next && probation != "0s" {
            // It has a state of its own until then, and nothing else is let in.
            until("the end of its probation", || {
                let said = obeyed(dir, &["swap", "job.toml", STEPS[step]]);
                said.contains("nothing is on trial").then_some(())
            });
        }
    }
    gaps
}

/// Swaps of three steps in turn while windows are open, rows wait and checkpoints are taken, with and without probation, and
/// two of them between versions of a state → every row, window and alert comes out once, as brute force has it, nothing was
/// rolled back, and the balance holds.
#[test]
fn swaps_under_load() {
    let swaps = count("WASMILL_SWAPS", 30);
    let pipeline = Pipeline::new(Input::new(swaps * RECORDS), pipeline::local()).relative();
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(RATE) });
    listens(pipeline.path(), STEPS[0]);
    pipeline.wait_for_progress(&mut host, 0);
    let (since, before) = (Instant::now(), pipeline.progress());
    let gaps = swap_in_turns(pipeline.path(), &mut host, swaps);
    let took = since.elapsed();
    let meanwhile = pipeline.progress() - before;
    let mut happened = Vec::new();
    for step in STEPS {
        let events = history(pipeline.path(), step);
        let bad = events.iter().find(|event| !["swapped", "promoted"].contains(&event["what"].as_str().unwrap_or("")));
        assert!(bad.is_none(), "{bad:?}");
        happened.extend(course(&events).into_iter().map(str::to_owned));
    }
    let swapped = happened.iter().filter(|what| *what == "swapped").count();
    assert_eq!(swapped, swaps);
    host.signal("TERM");
    let first = host.wait();
    let mut read = first.read("rows");
    let last = pipeline.finish();
    read += last.read("rows");
    // Rows that wait for their time when the job stops are read again by the next run.
    let through = |step: &str| (first.read(step) + last.read(step)) as i64 - first.in_flight(step);
    assert_eq!(through("alerts"), through("averages"), "{}{}", first.log, last.log);
    for step in STEPS {
        assert_eq!(last.in_flight(step), 0, "{step}: {}", last.log);
    }
    first.well();
    last.well();
    let (rows, _) = pipeline.check();
    assert_eq!(read, pipeline.input().len() as u64, "each record was read once");
    gaps.report(&format!("{swaps} swaps"));
    report(&format!(
        "{swaps} swaps in {:.1} s, {} after a probation, under {:.0} records/s; {rows} rows, none lost and none twice",
        took.as_secs_f64(),
        happened.len() - swapped,
        meanwhile as f64 / took.as_secs_f64()
    ));
}
