//! Manifests for people.

use crate::checkpoints::{Listed, Summary};
use std::fmt::Write;
use wasmill_stream::checkpoint::Manifest;
use wasmill_stream::time::iso8601;
use wasmill_stream::units::ByteCount;

const COLUMNS: [&str; 6] = ["checkpoint", "at", "why", "state", "splits", "run"];

/// One line of the list.
pub type Line = [String; COLUMNS.len()];

/// A checkpoint, or what is wrong with it, as a line.
pub fn line(listed: &Listed) -> Line {
    let name = listed.name.clone();
    match &listed.checkpoint {
        Some(Summary { at, kind, run, state_bytes, splits, .. }) => {
            let state = ByteCount::new(*state_bytes).to_string();
            [name, at.clone(), kind.clone(), state, splits.to_string(), run.to_string()]
        }
        None => {
            let error = listed.error.clone().unwrap_or_default();
            [name, error, String::new(), String::new(), String::new(), String::new()]
        }
    }
}

/// Lines below their headings.
pub fn table(lines: &[Line]) -> String {
    let headings = COLUMNS.map(str::to_owned);
    let all = || std::iter::once(&headings).chain(lines);
    // A long message in one line must not widen the column of all.
    let width = |at: usize| all().map(|line| line[at].chars().count()).filter(|width| *width <= 30).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut text = String::new();
    for line in all() {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// Everything that a manifest says.
pub fn text(manifest: &Manifest) -> String {
    let mut text = String::new();
    let time = |watermark: Option<i64>| watermark.map_or("unknown".to_owned(), iso8601);
    let _ = writeln!(text, "checkpoint {} of job {}, {}", manifest.number, manifest.job, manifest.at);
    let _ = writeln!(text, "  why      {}", Summary::of(manifest).kind);
    let _ = writeln!(text, "  run      {}, {} workers, wasmill {}", manifest.run, manifest.workers, manifest.wasmill);
    if let Some(withdrawal) = manifest.withdrawal {
        let after = withdrawal.after;
        let _ = writeln!(text, "  first    sinks take back what they have written since checkpoint {after}");
    }
    for point in &manifest.points {
        let _ = writeln!(text, "  rewind   to checkpoint {} of {}", point.number, iso8601(point.at));
    }
    for (name, source) in &manifest.sources {
        let _ = writeln!(text, "source {name}");
        if !source.note.is_null() {
            let _ = writeln!(text, "  note     {}", source.note);
        }
        for (split, mark) in &source.splits {
            let position = mark.position.map_or("before its first record".to_owned(), |at| format!("at {at}"));
            let done = if mark.done { ", ended" } else { "" };
            let _ = writeln!(text, "  {split:<8} {position}, watermark {}{done}", time(mark.watermark));
        }
    }
    for (name, step) in &manifest.steps {
        let _ = writeln!(text, "step {name}: {}", step.shape);
        let _ = writeln!(text, "  event time come to {}, state version {}", time(step.watermark), step.state_version);
        for (at, run) in step.runs.iter().enumerate() {
            let entries: u64 = run.segments.iter().map(|segment| segment.entries).sum();
            let objects = run.segments.len();
            let size = ByteCount::new(run.bytes());
            let _ = writeln!(text, "  run {at}    {entries} entries, {size} in {objects} objects");
        }
    }
    for (name, plugin) in &manifest.plugins {
        let _ = writeln!(text, "plugin of {name}: {} {}, sha256 {}", plugin.name, plugin.version, plugin.sha256);
    }
    for (name, sink) in &manifest.sinks {
        let prepared = if sink.prepared.is_null() { "nothing to commit".to_owned() } else { sink.prepared.to_string() };
        let _ = writeln!(text, "sink {name}: {prepared}");
    }
    text
}
