//! The job that the tests of crashes run: rows in splits into windows with a plugin, into a process in the order of event
//! time, and as they are; each of the three into sinks of every kind that promises each row once. With its input and the
//! answer.

mod input;
mod outlet;
mod sightings;

pub use input::Input;
pub use outlet::{Outlet, Stream};

use crate::harness::bucket::Bucket;
use crate::harness::data::json_lines;
use crate::harness::host::{Ended, Host};
use crate::harness::manifests::{Manifests, progress};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::wasmill;
use crate::harness::search::Search;
use sightings::Sightings;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The plugins of the job.
pub const PLUGINS: [&str; 3] = ["cell-key", "cell-average", "running-deviation"];

/// The job with a folder of its own, and where its rows go.
pub struct Pipeline {
    dir: TempDir,
    /// What the job file calls that folder.
    called: String,
    input: Input,
    outlets: Vec<Outlet>,
    /// How old the parts in a folder become.
    roll: &'static str,
    /// Members of the table `[checkpoint]`.
    checkpoint: String,
    manifests: Manifests,
    runs: Cell<usize>,
    /// What each sink has shown of each stream.
    seen: RefCell<BTreeMap<String, Sightings>>,
}

/// How one run differs from the others.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    pub workers: usize,
    /// Records per second; `None`: as fast as it goes.
    pub rate: Option<usize>,
}

impl Turn {
    /// As fast as it goes, with two workers.
    pub const LAST: Self = Self { workers: 2, rate: None };
}

impl Pipeline {
    /// With a folder of checkpoints, one every 200 ms.
    pub fn new(input: Input, outlets: Vec<Outlet>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("in.jsonl"), input.text()).expect("it can be written");
        Self::over(dir, input, outlets)
    }

    /// In a folder that has its input, and maybe more.
    pub fn over(dir: TempDir, input: Input, outlets: Vec<Outlet>) -> Self {
        let called = dir.path().display().to_string();
        let checkpoint = format!("to = \"{called}/checkpoints/pipeline\"\ninterval = \"200ms\"\nretain = 3");
        let manifests = Manifests::Folder(dir.path().join("checkpoints/pipeline"));
        Self {
            dir,
            called,
            input,
            outlets,
            roll: "900ms",
            checkpoint,
            manifests,
            runs: Cell::new(0),
            seen: RefCell::default(),
        }
    }

    /// With a job file that can be taken somewhere else, with the whole folder.
    pub fn relative(mut self) -> Self {
        self.checkpoint = self.checkpoint.replace(&self.called, ".");
        self.called = ".".to_owned();
        for plugin in PLUGINS {
            symlink(component(plugin), self.path().join(format!("{plugin}.wasm"))).expect("a link");
        }
        self
    }

    /// Where the job finds a plugin.
    fn plugin(&self, name: &str) -> String {
        match self.called.as_str() {
            "." => format!("{name}.wasm"),
            _ => component(name).display().to_string(),
        }
    }

    /// With another interval between checkpoints.
    pub fn every(mut self, interval: &str) -> Self {
        self.checkpoint = self.checkpoint.replace("\"200ms\"", &format!("\"{interval}\""));
        self
    }

    /// With parts in folders that become so old.
    pub fn roll(mut self, age: &'static str) -> Self {
        self.roll = age;
        self
    }

    /// With its checkpoints somewhere else: members of the table `[checkpoint]`, and where that is.
    pub fn checkpoints(mut self, members: impl Into<String>, manifests: Manifests) -> Self {
        (self.checkpoint, self.manifests) = (members.into(), manifests);
        self
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What it reads.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Its checkpoints.
    pub fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// How many records the newest checkpoint knows.
    pub fn progress(&self) -> u64 {
        self.manifests.newest().map_or(0, |manifest| progress(&manifest))
    }

    /// Waits until a run has published that it got further than `before`.
    pub fn wait_for_progress(&self, host: &mut Host, before: u64) -> u64 {
        until("progress", || {
            let status = host.status();
            let found = Some(self.progress()).filter(|now| *now > before);
            assert!(found.is_some() || status.is_none(), "it ended ({status:?}) no further: {}", host.text());
            found
        })
    }

    /// Writes the job file of a run and returns its path.
    pub fn write_job(&self, rate: Option<usize>) -> PathBuf {
        let path = self.path().join("job.toml");
        fs::write(&path, self.text(rate)).expect("it can be written");
        path
    }

    /// Starts a run.
    pub fn start(&self, turn: Turn) -> Host {
        self.start_under(&[], turn)
    }

    /// Starts a run under another program, such as `strace`.
    pub fn start_under(&self, wrapper: &[&str], turn: Turn) -> Host {
        let job = self.write_job(turn.rate);
        let mut command = wasmill(self.path());
        if let Some((program, arguments)) = wrapper.split_first() {
            let wasmill = command;
            command = std::process::Command::new(program);
            command.args(arguments).arg(wasmill.get_program()).current_dir(self.path()).env("NO_COLOR", "1");
        }
        // Any keys will do for the servers of the tests, but keys are never written into a job file.
        command.env("KEY", "test").arg("run").arg(job).arg(format!("--workers={}", turn.workers));
        self.runs.set(self.runs.get() + 1);
        Host::start(&mut command, &self.path().join(format!("run-{}.log", self.runs.get())))
    }

    /// Stops a run, whose input lasts longer than what was done to it, and runs to the end as fast as it goes.
    pub fn rest(&self, host: Host) {
        host.signal("TERM");
        host.wait().well();
        self.finish().well();
    }

    /// Runs to the end.
    pub fn finish(&self) -> Ended {
        self.start(Turn::LAST).wait()
    }

    /// Asserts that every sink has every row once, and the dead letters are those of the bad records. Returns how many rows
    /// and files or objects there are.
    pub fn check(&self) -> (usize, usize) {
        let (mut rows, mut pieces) = (0, 0);
        for outlet in &self.outlets {
            for stream in outlet.streams() {
                let (lines, files) = outlet.lines(self.path(), *stream);
                assert_same(&format!("{outlet} {stream:?}"), stream.facts(&lines), self.input.facts(*stream).to_vec());
                if let Some(documents) = outlet.documents(*stream) {
                    assert_same(&format!("ids of {outlet} {stream:?}"), documents, self.input.documents(*stream));
                }
                (rows, pieces) = (rows + lines.len(), pieces + files);
            }
        }
        let letters = fs::read_to_string(self.path().join("dead.jsonl")).expect("the sink wrote it");
        assert_same("dead letters", input::letters(&json_lines(&letters)), self.input.letters());
        (rows, pieces)
    }

    /// Asserts that whatever sinks show in the middle of a job are rows of the answer, each at most as often as there.
    pub fn check_so_far(&self) {
        for outlet in &self.outlets {
            for stream in outlet.streams() {
                let name = format!("{outlet} {stream:?}");
                let mut seen = self.seen.borrow_mut();
                let seen = seen.entry(name.clone()).or_default();
                let looked = seen.look(outlet, *stream, self.path(), self.input.facts(*stream));
                looked.unwrap_or_else(|fact| panic!("{name}: {fact} is none of the answer, or there twice"));
            }
        }
    }

    /// What every sink shows of a stream, by the name of the sink.
    pub fn lines<T>(&self, stream: Stream, of: &dyn Fn(&[String]) -> T) -> Vec<(String, T)> {
        self.outlets.iter().map(|outlet| (outlet.to_string(), of(&outlet.lines(self.path(), stream).0))).collect()
    }

    /// Everything that is left of rows that were written and not committed: files and uploads.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        files(self.path(), &mut |path| {
            let name = path.display().to_string();
            if [".part", ".unfinished"].iter().any(|end| name.ends_with(end)) {
                left.push(name);
            }
        });
        left.extend(self.outlets.iter().filter_map(Outlet::bucket).flat_map(Bucket::uploads));
        left
    }

    /// The job file of a run.
    pub fn text(&self, rate: Option<usize>) -> String {
        let speed = rate.map_or("\"max\"".to_owned(), |rate| format!("{:.1}", self.input.speedup(rate)));
        let dir = &self.called;
        let [cells, averages, alerts] = PLUGINS.map(|name| self.plugin(name));
        let sinks: String = self.outlets.iter().map(|outlet| outlet.tables(dir, self.roll)).collect();
        format!(
            r#"
            name = "pipeline"

            [engine]
            epoch = "10ms"
            in_flight = "256 KiB"

            [checkpoint]
            {checkpoint}

            [source.rows]
            type = "replay"
            path = "{dir}/in.jsonl"
            splits = {splits}
            time = "/t: time(unix-ms)"
            speedup = {speed}
            event_time = "/t: time(unix-ms)"
            watermark = {{ disorder = "{disorder}ms" }}

            [step.cells]
            input = "rows"
            plugin = "{cells}"

            [step.averages]
            input = "cells"
            plugin = "{averages}"
            window = {{ tumbling = "1m" }}

            [step.alerts]
            input = "cells"
            plugin = "{alerts}"
            settings = {{ field = "/total_amount", warm_up = 10, idle = "{idle}ms" }}
            order = "event-time"

            [dead_letter]
            type = "file"
            path = "{dir}/dead.jsonl"
            {sinks}"#,
            checkpoint = self.checkpoint,
            splits = input::SPLITS,
            disorder = input::DISORDER,
            idle = input::IDLE,
        )
    }
}

/// Asserts that two lists hold the same, each as often.
fn assert_same(what: &str, mut found: Vec<String>, mut expected: Vec<String>) {
    found.sort_unstable();
    expected.sort_unstable();
    if found == expected {
        return;
    }
    let without = |all: &[String], others: &[String]| {
        let mut others = others.iter().peekable();
        let mut rest = Vec::new();
        for one in all {
            while others.next_if(|other| *other < one).is_some() {}
            if others.next_if(|other| *other == one).is_none() {
                rest.push(one.clone());
            }
        }
        rest
    };
    let (extra, missing) = (without(&found, &expected), without(&expected, &found));
    let some = |rows: &[String]| rows.iter().take(5).cloned().collect::<Vec<_>>().join("\n    ");
    panic!(
        "{what}: {} of {} rows are too much:\n    {}\n{} of {} rows are missing:\n    {}",
        extra.len(),
        found.len(),
        some(&extra),
        missing.len(),
        expected.len(),
        some(&missing)
    );
}

/// Calls `see` with every file below a folder.
pub fn files(folder: &Path, see: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files(&path, see),
            path => see(&path),
        }
    }
}

/// Outlets in the folder of the job.
pub fn local() -> Vec<Outlet> {
    vec![Outlet::Folder, Outlet::File]
}

/// Outlets of every kind that can be had here.
pub fn all(search: &std::sync::Arc<Search>, bucket: Option<Bucket>) -> Vec<Outlet> {
    let index = Outlet::Index { search: search.clone(), url: search.url.clone() };
    let objects = bucket.iter().flat_map(|bucket| {
        let (url, bucket) = (bucket.url.clone(), bucket.clone());
        [
            Outlet::Objects { url: url.clone(), bucket: bucket.clone() },
            Outlet::LakeObjects { url: url.clone(), bucket: bucket.clone() },
            Outlet::TableObjects { url, bucket },
        ]
    });
    local().into_iter().chain([Outlet::Lake, Outlet::Table, index]).chain(objects).collect()
}
