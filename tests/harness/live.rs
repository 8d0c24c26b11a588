//! What users do to a job that runs: commands about its plugins, and what they say.

use super::patience::until;
use super::program::{output, wasmill};
use super::report;
use crate::oracle::calendar;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Waits until the job of `job.toml` in a folder, which has this step, can be asked.
pub fn listens(dir: &Path, step: &str) {
    until("a job that listens", || {
        let (code, said, error) = output(wasmill(dir).args(["swap", "job.toml", step]));
        assert!(code == Some(0) || error.contains("no job of"), "{said}{error}");
        (code == Some(0)).then_some(())
    });
}

/// Runs a command that is obeyed, and returns what it says.
pub fn obeyed(dir: &Path, arguments: &[&str]) -> String {
    let (code, said, error) = output(wasmill(dir).args(arguments));
    assert_eq!(code, Some(0), "{arguments:?}: {said}{error}");
    said
}

/// Runs a command that is refused, and returns the reason.
pub fn refused(dir: &Path, arguments: &[&str]) -> String {
    let (code, said, error) = output(wasmill(dir).args(arguments));
    assert_eq!(code, Some(2), "{arguments:?}: {said}{error}");
    error
}

/// What has become of a step's plugins, the oldest first.
pub fn history(dir: &Path, step: &str) -> Vec<Value> {
    let said = obeyed(dir, &["history", "job.toml", step, "--json"]);
    let events = said.lines().filter(|line| *line != "nothing has been swapped");
    events.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// What has happened, in one word each.
pub fn course(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["what"].as_str().expect("a word")).collect()
}

/// When something has happened, in milliseconds.
pub fn at(event: &Value) -> i64 {
    event["at"].as_str().and_then(calendar::millis).unwrap_or_else(|| panic!("no time in {event}"))
}

/// The times for which workers stood still, as answers tell them.
#[derive(Default)]
pub struct Gaps(Vec<Duration>);

impl Gaps {
    /// Adds that of an answer.
    pub fn add(&mut self, answer: &str) {
        let text = answer.split_once("workers stood still for ").and_then(|(_, rest)| rest.split_whitespace().next());
        self.0.push(text.and_then(duration).unwrap_or_else(|| panic!("no time in «{answer}»")));
    }

    /// Says what they were. `what`: of what.
    pub fn report(mut self, what: &str) {
        self.0.sort_unstable();
        let share = |percent: usize| self.0[(self.0.len() * percent).div_ceil(100).max(1) - 1];
        let [median, high, longest] = [50, 99, 100].map(share);
        report(&format!("{what}: workers stood still for {median:.1?} (p50), {high:.1?} (p99), {longest:.1?} (max)"));
    }
}

/// A duration as Rust writes it, such as `1.5ms`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let seconds = match text[unit..].trim_end_matches([';', ',']) {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    Some(Duration::from_secs_f64(text[..unit].parse::<f64>().ok()? * seconds))
}
