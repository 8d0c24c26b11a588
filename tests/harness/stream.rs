//! The real program as a part of a pipe: rows in, rows out, and what it says meanwhile. Rows go in when a test wants them
//! to, so it is known which of them came before a change and which after.

use super::builds::patched;
use super::host::{Ended, Host};
use super::patience::until;
use super::plugins::built;
use super::program::wasmill;
use super::root;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Far longer than a row takes.
const PATIENCE: Duration = Duration::from_secs(600);
/// The event time of the first row, ms.
const START: i64 = 1_356_998_400_000;

/// A running job.
pub struct Stream {
    host: Host,
    rows: Option<ChildStdin>,
    lines: Receiver<String>,
    /// How many rows went in.
    fed: i64,
    /// Up to where what it said has been looked at.
    heard: usize,
}

/// A job that reads standard input, and in which steps with these names and plugins write what they make of it to standard
/// output. Paths are as seen from the folder of the job file.
pub fn job(steps: &[(&str, &str)]) -> String {
    let mut text = "[source.rows]\ntype = \"stdin\"\nevent_time = \"/t: time(unix-ms)\"\n".to_owned();
    for (step, plugin) in steps {
        text += &format!("[step.{step}]\ninput = \"rows\"\nplugin = \"{plugin}\"\n");
    }
    let names: Vec<String> = steps.iter().map(|(step, _)| format!("\"{step}\"")).collect();
    text + &format!("[sink.out]\ninput = [{}]\ntype = \"stdout\"\n", names.join(", "))
}

impl Stream {
    /// Runs `job.toml` in a folder, with two workers.
    pub fn run(dir: &Path, arguments: &[&str]) -> Self {
        let mut command = wasmill(dir);
        command.args(["run", "job.toml", "--workers", "2"]).args(arguments);
        let log = dir.join("log.txt");
        let stderr = File::create(&log).expect("a log can be written");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn();
        let mut child = child.expect("the program starts");
        let (rows, out) = (child.stdin.take(), child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            // Nobody wants to know any more once the test has ended.
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        Self { host: Host::of(child, log), rows, lines, fed: 0, heard: 0 }
    }

    /// Feeds one row, and returns what so many steps make of it, in no order.
    pub fn feed(&mut self, steps: usize) -> Vec<Value> {
        self.put([row(self.fed + 1).to_string()]);
        self.take(steps)
    }

    /// Feeds rows of any other kind.
    pub fn put(&mut self, rows: impl IntoIterator<Item = String>) {
        let fed = &mut self.fed;
        let text: String = rows.into_iter().inspect(|_| *fed += 1).map(|row| row + "\n").collect();
        let stdin = self.rows.as_mut().expect("it still reads");
        if let Err(error) = stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()) {
            panic!("it does not read ({error}): {}", self.host.text());
        }
    }

    /// Waits for so many rows.
    pub fn take(&mut self, rows: usize) -> Vec<Value> {
        (0..rows).map(|_| self.line()).collect()
    }

    /// Asserts that the next row is worked on by this version of the conformance transform, in so many steps.
    pub fn assert_runs(&mut self, version: &str, steps: usize) {
        let rows = self.feed(steps);
        let expected = answer(self.fed, version);
        assert!(rows.iter().all(|row| *row == expected), "{rows:?}, expected {expected}: {}", self.said());
    }

    fn line(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|error| panic!("no row comes out: {error}: {}", self.host.text()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// How many rows went in.
    pub fn fed(&self) -> i64 {
        self.fed
    }

    /// Waits until it says this, after what was waited for before.
    pub fn says(&mut self, words: &str) -> String {
        let heard = self.heard;
        let said = until(&format!("«{words}»"), || {
            let text = self.host.text();
            let status = self.host.status();
            assert!(status.is_none(), "it ended ({status:?}) before it said «{words}»: {text}");
            text[heard..].find(words).map(|at| (text.clone(), heard + at + words.len()))
        });
        let (text, heard) = said;
        let before = std::mem::replace(&mut self.heard, heard);
        text[before..heard].to_owned()
    }

    /// Everything that it has said so far.
    pub fn said(&self) -> String {
        self.host.text()
    }

    /// Ends its input.
    pub fn close(&mut self) {
        drop(self.rows.take());
    }

    /// Everything that still comes out once its input has ended.
    pub fn rest(&mut self) -> Vec<Value> {
        self.close();
        let lines = std::iter::from_fn(|| self.lines.recv_timeout(PATIENCE).ok());
        lines.map(|line| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// Ends its input, and asserts that it ends well and has lost no row. Returns what it said.
    pub fn end(mut self, steps: &[&str]) -> String {
        self.close();
        let fed = self.fed;
        let ended: Ended = self.host.wait();
        for step in steps {
            assert_eq!(ended.read(step), fed as u64, "{step}: {}", ended.log);
        }
        ended.well()
    }
}

/// The n-th row, of which the conformance transform makes one row.
pub fn row(n: i64) -> Value {
    json!({"t": START + n, "id": id(n), "amount": n, "name": "a"})
}

/// The n-th number that divides by neither 5 nor 7: for those, it would do other things.
fn id(n: i64) -> i64 {
    let (rounds, rest) = ((n - 1) / 24, (n - 1) % 24);
    let ids = (1..35).filter(|id| id % 5 != 0 && id % 7 != 0);
    rounds * 35 + ids.take(rest as usize + 1).last().expect("there are 24 of 35")
}

/// What the conformance transform makes of the n-th row, if the last key of its answer is called so.
pub fn answer(n: i64, key: &str) -> Value {
    json!({"id": id(n), "name": "a", key: n * 200})
}

/// The conformance transform, whose answers call the cents by this name, of five letters: another version of one plugin.
pub fn version(name: &str) -> Vec<u8> {
    let component = fs::read(built(&root().join("plugins/conformance/rust/transform"))).expect("it was built");
    patched(&component, "cents", name)
}

/// Replaces a file at one stroke, as editors and builds do.
pub fn replace(path: &Path, bytes: &[u8]) {
    let draft: PathBuf = path.with_extension("draft");
    fs::write(&draft, bytes).expect("it can be written");
    fs::rename(&draft, path).expect("it can be renamed");
}
