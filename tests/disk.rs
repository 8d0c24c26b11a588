//! Disks that are full or fail during a checkpoint.

use crate::harness::manifests::Manifests;
use crate::harness::patience::until;
use crate::harness::search::Search;
use crate::harness::{report, skipped};
use crate::pipeline::{Input, Outlet, Pipeline, Turn};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// A disk of its own in memory. It goes away when it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, and a message, where mounting is not allowed.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(dir.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        skipped("needs the right to mount a tmpfs");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no room: what was freed meanwhile is taken, too.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.path().join("ballast")).expect("a file");
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.path().join("ballast")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What cannot be done now, the end of the machine does.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn with_index(records: usize) -> (Pipeline, Arc<Search>) {
    let search = Arc::new(Search::start());
    let index = Outlet::Index { search: search.clone(), url: search.url.clone() };
    (Pipeline::new(Input::new(records), vec![Outlet::Folder, Outlet::File, index]), search)
}

/// The disk of the checkpoints is full for a while → the job says so and goes on, checkpoints come again by themselves when
/// there is room, and every row is there once.
#[test]
fn full() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (pipeline, search) = with_index(20_000);
    let checkpoint = format!("to = \"{}/pipeline\"\ninterval = \"200ms\"\nretain = 3", disk.path().display());
    let pipeline = pipeline.checkpoints(checkpoint, Manifests::Folder(disk.path().join("pipeline")));
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(1_000) });
    pipeline.wait_for_progress(&mut host, 0);
    disk.fill();
    until("a word about the disk", || {
        assert!(host.status().is_none(), "{}", host.text());
        disk.fill();
        host.text().contains("No space left").then_some(())
    });
    let documents = search.documents("rows").len();
    until("rows that go on", || {
        assert!(host.status().is_none(), "{}", host.text());
        (search.documents("rows").len() > documents + 500).then_some(())
    });
    let before = pipeline.progress();
    disk.make_room();
    let after = pipeline.wait_for_progress(&mut host, before);
    pipeline.rest(host);
    pipeline.check();
    assert_eq!(pipeline.leftovers(), Vec::<String>::new());
    report(&format!("records at the last checkpoint before there was room {before}, at the next {after}"));
}

/// A run whose calls of a kind fail with EIO now and then, from a thread's n-th on. Returns how it ended, and how many calls
/// failed.
fn failing_from(calls: &str, from: usize) -> (Option<i32>, usize) {
    let (pipeline, _) = with_index(2_000);
    let pipeline = pipeline.every("20ms");
    let (inject, trace) = (format!("inject={calls}:error=EIO:when={from}..40+3"), format!("trace={calls}"));
    let traced = pipeline.path().join("trace.txt").display().to_string();
    let strace = ["strace", "-f", "-qq", "-o", &traced, "-e", &trace, "-e", &inject];
    let ended = pipeline.start_under(&strace, Turn { workers: 2, rate: Some(1_000) }).wait();
    if ended.code != Some(0) {
        assert_eq!(ended.code, Some(1), "{calls}: {}", ended.log);
        assert!(ended.log.contains("Input/output error"), "{calls}: {}", ended.log);
        pipeline.finish().well();
    }
    pipeline.check();
    assert_eq!(pipeline.leftovers(), Vec::<String>::new(), "{calls}");
    let failed = fs::read_to_string(&traced).expect("strace wrote it").matches("(INJECTED)").count();
    (ended.code, failed)
}

/// The disk fails now and then: some calls that make bytes durable end with EIO → the job goes on or ends with an error that
/// names the file; started again, it has every row once.
#[test]
fn failing() {
    if Command::new("strace").arg("-V").output().is_err() {
        skipped("needs `strace`, which is not installed");
        return;
    }
    let mut outcomes = Vec::new();
    for calls in ["fsync", "?link,linkat", "?rename,renameat,renameat2"] {
        // Threads that write files come and go, and may not live to a fourth call: then earlier ones fail.
        let runs = [4, 2, 1].into_iter().map(|from| failing_from(calls, from));
        let (code, failed) = runs.into_iter().find(|(_, failed)| *failed > 0).expect("the first of a thread fails");
        outcomes.push(format!("{calls}: {failed} failed, exit code {code:?}"));
    }
    report(&outcomes.join("; "));
}
