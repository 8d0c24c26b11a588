//! A job over a file whose aggregator comes in versions: `cell-average`, and what follows it in `plugins/versions`. For tests of
//! what becomes of its windows when one takes over from another.

use super::cells;
use super::host::Host;
use super::live::listens;
use super::manifests::{Manifests, progress};
use super::patience::until;
use super::plugins::component;
use super::program::wasmill;
use super::root;
use super::stream::replace;
use crate::oracle::windows::Row;
use std::fs;
use std::path::Path;

/// Event time goes so much on from one row to the next, and so many rows are read in a second.
pub struct Pace {
    /// In milliseconds.
    pub step: i64,
    /// Rows a second.
    pub rate: i64,
}

/// The name of a version in `plugins`.
pub fn name(number: u32) -> String {
    if number == 1 { "cell-average".to_owned() } else { format!("versions/cell-average-{number}") }
}

/// The component of a version.
pub fn version(number: u32) -> String {
    component(&name(number)).display().to_string()
}

/// Puts a version where the job looks for it when it starts.
pub fn place(dir: &Path, number: u32) {
    replace(&dir.join("averages.wasm"), &fs::read(version(number)).expect("it was built"));
}

/// Writes a job that reads these rows with version 1, in windows of ten minutes, and goes on after a crash. `swap`: members of
/// its table `[swap]`.
pub fn write(dir: &Path, rows: &[Row], pace: &Pace, swap: &str) {
    cells::write(&dir.join("in.jsonl"), rows);
    let source = format!(
        "type = \"replay\"\npath = \"in.jsonl\"\nsplits = 4\ntime = \"/t: time(unix-ms)\"\nspeedup = {}",
        pace.rate * pace.step / 1_000
    );
    let sink = "type = \"file\"\npath = \"results.jsonl\"";
    let job = cells::job(&source, "disorder = \"1s\"", "window = { tumbling = \"10m\" }", sink);
    let job = job.replace("overwrite = true", "").replace("${out}/", "");
    // Components, not the folders of their source: the job starts often, and builds of plugins wait for one another.
    let folder = |name: &str| root().join("plugins").join(name).display().to_string();
    let cells = component("cell-key").display().to_string();
    let job = job.replace(&folder("cell-average"), "averages.wasm").replace(&folder("cell-key"), &cells);
    let tables = format!("[swap]\n{swap}\n[checkpoint]\nto = \"checkpoints\"\ninterval = \"100ms\"\n");
    fs::write(dir.join("job.toml"), format!("{job}\n{tables}")).expect("it can be written");
    place(dir, 1);
}

/// Starts it.
pub fn start(dir: &Path) -> Host {
    Host::start(wasmill(dir).args(["run", "job.toml", "--workers", "2"]), &dir.join("log.txt"))
}

/// From the next start on it runs as fast as it goes.
pub fn hurry(dir: &Path) {
    let path = dir.join("job.toml");
    let text = fs::read_to_string(&path).expect("it was written");
    let is_pace = |line: &&str| line.trim_start().starts_with("speedup = ");
    let pace = text.lines().find(is_pace).expect("it has a pace").to_owned();
    fs::write(&path, text.replace(&pace, "speedup = \"max\"")).expect("it can be written");
}

/// Stops a run and goes on to the end as fast as it goes. Returns what that said.
pub fn rest(dir: &Path, host: Host) -> String {
    // One that has just been started may not hear signals yet.
    listens(dir, "averages");
    host.signal("TERM");
    host.wait().well();
    hurry(dir);
    start(dir).wait().well()
}

/// Its checkpoints.
pub fn manifests(dir: &Path) -> Manifests {
    Manifests::Folder(dir.join("checkpoints"))
}

/// Waits until a checkpoint knows so many rows.
pub fn reaches(dir: &Path, host: &mut Host, rows: i64) {
    let manifests = manifests(dir);
    until("progress", || {
        let status = host.status();
        assert!(status.is_none(), "it ended ({status:?}): {}", host.text());
        manifests.newest().filter(|manifest| progress(manifest) >= rows as u64)
    });
}
