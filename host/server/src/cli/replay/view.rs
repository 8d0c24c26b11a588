//! What a replay looks like while it runs, and its balance at the end.

use crate::progress::{clock, grouped};
use crate::terminal::{Line, Terminal};
use std::time::{Duration, Instant};
use wasmill_connect::replay::playback::{Snapshot, Tally};

/// Width of the bar.
const BAR: usize = 30;

/// The view of a replay.
pub struct View {
    terminal: Terminal,
    line: Line,
    /// How often to print statistics.
    interval: Option<Duration>,
    printed: Instant,
    /// The events that were confirmed by then.
    before: u64,
    speedup: Option<f64>,
    /// How many bad lines were shown.
    shown: usize,
}

impl View {
    /// A view; `interval`: how often to print statistics.
    pub fn new(terminal: &Terminal, interval: Option<Duration>, speedup: Option<f64>) -> Self {
        let line = terminal.line();
        let terminal = terminal.clone();
        Self { terminal, line, interval, printed: Instant::now(), before: 0, speedup, shown: 0 }
    }

    /// Shows the state of now.
    pub fn show(&mut self, now: &Snapshot) {
        self.show_bad(&now.tally);
        if self.terminal.is_live() {
            self.line.set(line(now));
        }
        let since = self.printed.elapsed();
        if self.interval.is_some_and(|interval| since >= interval) {
            let rate = (now.tally.confirmed - self.before) as f64 / since.as_secs_f64();
            self.terminal.note(&self.statistics(now, rate));
            (self.printed, self.before) = (Instant::now(), now.tally.confirmed);
        }
    }

    fn statistics(&self, now: &Snapshot, rate: f64) -> String {
        let Tally { confirmed, bad, markers, producer, .. } = &now.tally;
        let lag = match self.speedup {
            Some(speedup) => format!("{:.1} s behind {speedup} times", now.lag.as_secs_f64()),
            None => "as fast as it goes".to_owned(),
        };
        format!(
            "{}  {} events, {}/s, {lag}, {} buffered, {} retries ({} throttled), {} markers, {} bad lines",
            clock(now.elapsed),
            grouped(*confirmed),
            grouped(rate as u64),
            grouped(now.buffered as u64),
            grouped(producer.retries),
            grouped(producer.throttled),
            grouped(*markers),
            grouped(*bad),
        )
    }

    /// The balance.
    pub fn end(&mut self, tally: &Tally) {
        self.show_bad(tally);
        let Tally { read, confirmed, bad, markers, producer, .. } = tally;
        let unsent = read - tally.sent;
        let stopped =
            if tally.was_stopped { format!(", {} read and not sent", grouped(unsent)) } else { String::new() };
        self.terminal.note(&format!(
            "{} events in the stream, {} bad lines{stopped}; {} markers, {} retries ({} throttled)",
            grouped(*confirmed),
            grouped(*bad),
            grouped(*markers),
            grouped(producer.retries),
            grouped(producer.throttled),
        ));
    }

    /// The first bad lines, each once.
    fn show_bad(&mut self, tally: &Tally) {
        for example in tally.examples.iter().skip(self.shown) {
            self.terminal.note(&format!("left out: {example}"));
        }
        self.shown = tally.examples.len();
    }
}

fn line(now: &Snapshot) -> String {
    let Tally { confirmed, taken, bytes, .. } = now.tally;
    let rate = confirmed as f64 / now.elapsed.as_secs_f64().max(0.001);
    let share = taken as f64 / bytes.max(1) as f64;
    let bar = match bytes {
        0 => String::new(),
        _ => {
            let full = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
            format!("{}{} {:3.0} %  ", "━".repeat(full), " ".repeat(BAR - full), 100.0 * share)
        }
    };
    format!("{bar}{}  {} events, {}/s", clock(now.elapsed), grouped(confirmed), grouped(rate as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A replay half way through its input, one whose size nobody knows, and one that has not begun → a bar that is half full, none,
    /// and an empty one.
    #[test]
    fn bars() {
        let shown = |taken, bytes, seconds| {
            let tally = Tally { confirmed: 12_345, taken, bytes, ..Tally::default() };
            line(&Snapshot { tally, elapsed: Duration::from_secs(seconds), ..Snapshot::default() })
        };
        let half = format!("{}{}  50 %  ", "━".repeat(15), " ".repeat(15));
        assert_eq!(shown(500, 1_000, 10), format!("{half}00:10  12,345 events, 1,234/s"));
        assert_eq!(shown(500, 0, 10), "00:10  12,345 events, 1,234/s");
        assert!(shown(0, 1_000, 0).starts_with(&format!("{}   0 %", " ".repeat(BAR))));
    }
}
