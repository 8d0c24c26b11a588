//! SIGKILL at one system call after the other: where a program dies between two steps of a checkpoint is not left to chance.

use crate::harness::host::Host;
use crate::harness::search::Search;
use crate::harness::{report, skipped};
use crate::pipeline::{Input, Outlet, Pipeline, Turn};
use std::process::Command;
use std::sync::Arc;

/// What makes bytes durable, gives and takes names, and sends. A question mark: not every machine has that one.
const CALLS: [&str; 6] = [
    "fsync,fdatasync",
    "?rename,renameat,renameat2",
    "?link,linkat",
    "?unlink,unlinkat",
    "sendto,writev",
    "ftruncate,?creat,?mkdir,mkdirat",
];

/// In a short run these are tried: the first ones, and then with growing gaps.
fn in_short(step: usize) -> bool {
    [1, 2, 4, 7, 12, 20, 33, 54, 88].contains(&step)
}

/// Runs the tiny job until it is killed at the call with this number of one of its threads. `None`: it ended before.
fn killed_at(calls: &str, number: usize) -> Option<Pipeline> {
    let search = Arc::new(Search::start());
    let index = Outlet::Index { search: search.clone(), url: search.url.clone() };
    let pipeline = Pipeline::new(Input::new(500), vec![Outlet::Folder, Outlet::File, index]).every("20ms");
    let inject = format!("inject={calls}:signal=KILL:when={number}");
    let trace = format!("trace={calls}");
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let host: Host = pipeline.start_under(&strace, Turn { workers: 2, rate: Some(1_000) });
    let ended = host.wait();
    match (ended.code, ended.signal) {
        (None, Some(9)) => Some(pipeline),
        (Some(0), None) => {
            pipeline.check();
            None
        }
        _ => panic!("{calls} {number}: {:?} {:?}: {}", ended.code, ended.signal, ended.log),
    }
}

/// A tiny job that dies at the n-th call of a kind, for n after n until it ends by itself → started again it has every row
/// once, and nothing is left of what was not committed.
#[test]
fn every_call_of_a_checkpoint() {
    if Command::new("strace").arg("-V").output().is_err() {
        skipped("needs `strace`, which is not installed");
        return;
    }
    let all = std::env::var("WASMILL_SWEEP").is_ok_and(|sweep| sweep == "all");
    let mut points = Vec::new();
    for calls in CALLS {
        let mut killed = 0;
        for number in (1..).filter(|number| all || in_short(*number)).take_while(|number| all || *number <= 88) {
            let Some(pipeline) = killed_at(calls, number) else { break };
            killed += 1;
            let ended = pipeline.finish();
            assert_eq!(ended.code, Some(0), "after {calls} {number}: {}", ended.log);
            pipeline.check();
            assert_eq!(pipeline.leftovers(), Vec::<String>::new(), "after {calls} {number}");
        }
        points.push(format!("{calls}: {killed}"));
    }
    report(&format!("killed at so many points, {}: {}", if all { "all" } else { "some" }, points.join("; ")));
}
