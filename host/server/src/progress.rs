//! What a running job is doing, read off its ledger: how fast, how far in event time, what came out.

use crate::job::Outline;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use wasmill_engine::{Stall, Status};
use wasmill_stream::ledger::{Ledger, StepLedger};
use wasmill_stream::time::iso8601;

/// The rate is an average over about so long.
const MEMORY: Duration = Duration::from_secs(2);

/// Watches a job.
pub struct Progress {
    ledger: Ledger,
    checkpoints: Option<Status>,
    stall: Stall,
    sources: Vec<Arc<StepLedger>>,
    started: Instant,
    reading: Pace,
    writing: Pace,
}

/// How fast a count grows.
struct Pace {
    /// When it was last brought up to date, and what the count was then.
    last: Instant,
    count: u64,
    /// Per second, of late.
    rate: f64,
}

/// A job at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Since the start.
    pub elapsed: Duration,
    /// Records that the sources have read.
    pub read: u64,
    /// Records per second of late.
    pub rate: f64,
    /// Rows that are safe in sinks.
    pub written: u64,
    /// The same per second, of late.
    pub written_rate: f64,
    /// The lowest watermark of the sources, ms; `None` before all have one.
    pub watermark: Option<i64>,
    /// Windows, counted per key, that have fired.
    pub fired: u64,
    /// Timers of processes that have fired.
    pub timers: u64,
    /// Rows that came too late.
    pub late: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Stretches of the input that are lost.
    pub gaps: u64,
    /// Parts of sources and sinks that work otherwise than they were asked to, and how.
    pub remarks: Vec<(String, String)>,
    /// Steps that stand still, and why.
    pub paused: Vec<(String, String)>,
    /// Why the job gets no further, or has had no checkpoint for long, and who holds it.
    pub stalled: Option<String>,
    /// How many checkpoints were published; `None` if the job keeps none.
    pub checkpoints: Option<u64>,
}

impl Progress {
    /// Starts watching.
    pub fn new(ledger: Ledger, outline: &Outline, checkpoints: Option<Status>, stall: Stall) -> Self {
        let sources = outline.sources().filter_map(|name| ledger.step(name).cloned()).collect();
        let now = Instant::now();
        let (reading, writing) = (Pace::new(now), Pace::new(now));
        Self { ledger, checkpoints, stall, sources, started: now, reading, writing }
    }

    /// What the job is doing now.
    pub fn snapshot(&mut self) -> Snapshot {
        let read = self.sources.iter().map(|source| source.counts().read).sum();
        let sinks = self.ledger.steps.iter().filter(|step| step.is_sink.load(Relaxed));
        let written = sinks.map(|sink| sink.counts().emitted).sum();
        let now = Instant::now();
        self.reading.follow(read, now);
        self.writing.follow(written, now);
        let counts: Vec<_> = self.ledger.steps.iter().map(|step| step.counts()).collect();
        let checkpoints = self.checkpoints.as_ref().map(Status::look);
        Snapshot {
            checkpoints: checkpoints.as_ref().map(|known| known.published),
            // Where rows are held, checkpoints are held too, and the first names the node more exactly.
            stalled: self.stall.look().or(checkpoints.and_then(|known| known.stalled)),
            elapsed: self.started.elapsed(),
            read,
            rate: self.reading.rate,
            written,
            written_rate: self.writing.rate,
            watermark: self.sources.iter().map(|source| source.watermark()).min().flatten(),
            fired: counts.iter().map(|counts| counts.fired).sum(),
            timers: counts.iter().map(|counts| counts.timers).sum(),
            late: counts.iter().map(|counts| counts.late).sum(),
            rejected: counts.iter().map(|counts| counts.rejected).sum(),
            gaps: self.sources.iter().map(|source| source.gaps.load(Relaxed)).sum(),
            remarks: self.ledger.steps.iter().flat_map(|step| step.remarks()).collect(),
            paused: self
                .ledger
                .steps
                .iter()
                .filter_map(|step| step.paused().map(|reason| (step.name.clone(), reason)))
                .collect(),
        }
    }
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { last: now, count: 0, rate: 0.0 }
    }

    fn follow(&mut self, count: u64, now: Instant) {
        let passed = now.duration_since(self.last).as_secs_f64();
        if passed <= 0.0 {
            return;
        }
        let current = count.saturating_sub(self.count) as f64 / passed;
        let weight = if self.count == 0 { 1.0 } else { 1.0 - (-passed / MEMORY.as_secs_f64()).exp() };
        self.rate += (current - self.rate) * weight;
        (self.last, self.count) = (now, count);
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {} read, {}/s", clock(self.elapsed), grouped(self.read), grouped(self.rate as u64))?;
        match self.watermark {
            Some(watermark) => write!(f, "  watermark {}", watermark_text(watermark))?,
            None => f.write_str("  no watermark yet")?,
        }
        let counts = [
            (self.fired, "windows fired"),
            (self.timers, "timers fired"),
            (self.late, "late"),
            (self.rejected, "rejected"),
            (self.gaps, "gaps"),
        ];
        for (count, name) in counts {
            if count > 0 {
                write!(f, "  {} {name}", grouped(count))?;
            }
        }
        // All shards of a stream may have the same to say.
        if let Some((part, remark)) = self.remarks.first() {
            write!(f, "  {part}: {remark}")?;
        }
        if self.remarks.len() > 1 {
            write!(f, " (and {} others)", self.remarks.len() - 1)?;
        }
        for (step, reason) in &self.paused {
            write!(f, "  step {step} is paused: {reason}")?;
        }
        match (&self.stalled, self.checkpoints) {
            (Some(stalled), _) => write!(f, "  stalled: {stalled}"),
            (None, Some(published)) => write!(f, "  {} checkpoints", grouped(published)),
            (None, None) => Ok(()),
        }
    }
}

/// A watermark for people. The last one of a source that has ended is the end of time.
pub fn watermark_text(watermark: i64) -> String {
    if watermark == i64::MAX { "at the end".to_owned() } else { iso8601(watermark) }
}

/// `1:02:03`, or `02:03` within the first hour.
pub fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> (Progress, Arc<StepLedger>, Arc<StepLedger>) {
        let (source, step) = (Arc::new(StepLedger::new("in")), Arc::new(StepLedger::new("count")));
        let mut outline = Outline::new("job");
        outline.push("in", vec![], vec![], String::new());
        let ledger = Ledger { steps: vec![source.clone(), step.clone()] };
        (Progress::new(ledger, &outline, None, Stall::default()), source, step)
    }

    /// Records are counted where they are read; windows, timers and late rows wherever they are.
    #[test]
    fn sums_over_the_job() {
        let (mut progress, source, step) = watched();
        assert_eq!(progress.snapshot().watermark, None);
        StepLedger::add(&source.read, 1_234);
        StepLedger::add(&step.read, 1_000);
        StepLedger::add(&step.fired, 7);
        StepLedger::add(&step.timers, 3);
        StepLedger::add(&step.late, 2);
        source.remark("in/a", Some("polling".to_owned()));
        source.remark("in/b", Some("polling".to_owned()));
        source.note_gap("lost".to_owned());
        source.advance_watermark(0);
        let text = progress.snapshot().to_string();
        assert!(text.starts_with("00:00  1,234 read, "), "{text}");
        assert!(
            text.ends_with("watermark 1970-01-01T00:00:00.000Z  7 windows fired  3 timers fired  2 late  1 gaps  in/a: polling (and 1 others)"),
            "{text}"
        );
    }

    /// A job that stands still says why, where it would say how many checkpoints it has.
    #[test]
    fn a_stall_is_seen() {
        let (mut progress, ..) = watched();
        let now = Snapshot { checkpoints: Some(1_234), ..progress.snapshot() };
        assert!(now.to_string().ends_with("no watermark yet  1,234 checkpoints"), "{now}");
        let now = Snapshot { stalled: Some("no progress for 31 s: waiting for out".to_owned()), ..now };
        assert!(now.to_string().ends_with("no watermark yet  stalled: no progress for 31 s: waiting for out"), "{now}");
    }

    /// A steady stream shows its own rate from the first second on; after a change the rate follows within seconds.
    #[test]
    fn rate_follows() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut read = 0;
        for second in 1..=10 {
            read += 1_000;
            pace.follow(read, start + Duration::from_secs(second));
            assert!((pace.rate - 1_000.0).abs() < 1.0, "{}", pace.rate);
        }
        for second in 11..=20 {
            pace.follow(read, start + Duration::from_secs(second));
        }
        assert!(pace.rate < 10.0, "{}", pace.rate);
    }

    /// Numbers read easily at any size.
    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(clock(Duration::from_secs(3_723)), "1:02:03");
    }
}
