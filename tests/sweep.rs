//! SIGKILL at one system call after the other: where a program dies between two steps of a checkpoint is not left to chance.

use crate::harness::bucket::Bucket;
use crate::harness::host::Host;
use crate::harness::manifests::Manifests;
use crate::harness::search::Search;
use crate::harness::server::MOTO;
use crate::harness::{report, skipped};
use crate::pipeline::{Input, Outlet, Pipeline, Turn};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What makes bytes durable, gives and takes names, and sends. A question mark: not every machine has that one.
const CALLS: [&str; 6] = [
    "fsync,fdatasync",
    "?rename,renameat,renameat2",
    "?link,linkat",
    "?unlink,unlinkat",
    SENDS,
    "ftruncate,?creat,?mkdir,mkdirat",
];

/// What sends to servers.
const SENDS: &str = "sendto,writev";

/// In a short run these are tried: the first ones, and then with growing gaps.
fn in_short(step: usize) -> bool {
    [1, 2, 4, 7, 12, 20, 33, 54, 88].contains(&step)
}

/// A tiny job and what it writes to.
type Make = fn() -> Option<Pipeline>;

/// Files and an index, with its checkpoints in a folder. Nearly every checkpoint has parts that are to get their names.
fn files() -> Option<Pipeline> {
    let search = Arc::new(Search::start());
    let index = Outlet::Index { search: search.clone(), url: search.url.clone() };
    Some(Pipeline::new(Input::new(500), vec![Outlet::Folder, Outlet::File, index]).every("20ms").roll("10ms"))
}

/// Objects in S3, and its checkpoints as well, in a bucket of its own; `None` where no server can be had.
fn objects() -> Option<Pipeline> {
    static BUCKETS: AtomicUsize = AtomicUsize::new(0);
    let bucket = Bucket::create(MOTO.url()?, &format!("sweep-{}", BUCKETS.fetch_add(1, Relaxed)));
    let (members, manifests) = Manifests::in_bucket(&bucket, &bucket.url);
    let objects = Outlet::Objects { url: bucket.url.clone(), bucket };
    Some(Pipeline::new(Input::new(500), vec![objects]).checkpoints(members, manifests).every("20ms"))
}

/// Runs the job until it is killed at the call with this number of one of its threads. Whether it was: it may end before.
fn is_killed_at(pipeline: &Pipeline, calls: &str, number: usize) -> bool {
    let inject = format!("inject={calls}:signal=KILL:when={number}");
    let trace = format!("trace={calls}");
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let host: Host = pipeline.start_under(&strace, Turn { workers: 2, rate: Some(1_000) });
    let ended = host.wait();
    match (ended.code, ended.signal) {
        (None, Some(9)) => true,
        (Some(0), None) => {
            pipeline.check();
            false
        }
        _ => panic!("{calls} {number}: {:?} {:?}: {}", ended.code, ended.signal, ended.log),
    }
}

fn sweep(make: Make, kinds: &[&str]) {
    if Command::new("strace").arg("-V").output().is_err() {
        skipped("needs `strace`, which is not installed");
        return;
    }
    let all = std::env::var("WASMILL_SWEEP").is_ok_and(|sweep| sweep == "all");
    let mut points = Vec::new();
    for calls in kinds {
        let mut killed = 0;
        let most = if all { usize::MAX } else { 88 };
        for number in (1..=most).filter(|number| all || in_short(*number)) {
            let Some(pipeline) = make() else { return };
            if !is_killed_at(&pipeline, calls, number) {
                break;
            }
            killed += 1;
            let ended = pipeline.finish();
            assert_eq!(ended.code, Some(0), "after {calls} {number}: {}", ended.log);
            pipeline.check();
            assert_eq!(pipeline.leftovers(), Vec::<String>::new(), "after {calls} {number}");
        }
        assert!(killed > 0, "no thread came to a call of {calls}");
        points.push(format!("{calls}: {killed}"));
    }
    report(&format!("killed at so many points, {}: {}", if all { "all" } else { "some" }, points.join("; ")));
}

/// A tiny job that dies at the n-th call of a kind, for n after n until it ends by itself → started again it has every row
/// once, and nothing is left of what was not committed.
#[test]
fn every_call_of_a_checkpoint() {
    sweep(files, &CALLS);
}

/// The same where objects and checkpoints are in S3, for all that it sends → the same, and no unfinished uploads.
#[test]
fn everything_that_is_sent() {
    sweep(objects, &[SENDS]);
}
