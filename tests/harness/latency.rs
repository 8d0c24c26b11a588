//! When rows arrive, for rows that are played at a steady pace.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// For each row when it was due, milliseconds, and when it arrived.
type Rows = Vec<(i64, Duration)>;

/// The rows of each job.
#[derive(Debug, Clone)]
pub struct Arrivals {
    begun: Instant,
    seen: Arc<Mutex<BTreeMap<String, Rows>>>,
}

impl Arrivals {
    /// None yet.
    pub fn new() -> Self {
        Self { begun: Instant::now(), seen: Arc::default() }
    }

    /// The row of a job that is due so many milliseconds after its first one arrives now.
    pub fn note(&self, job: &str, due: i64) {
        let now = self.begun.elapsed();
        self.seen.lock().expect("no thread panics in here").entry(job.to_owned()).or_default().push((due, now));
    }

    /// How many rows of all jobs have arrived.
    pub fn count(&self) -> usize {
        self.seen.lock().expect("no thread panics in here").values().map(Vec::len).sum()
    }

    /// How much later than the fastest of them each row of a job came that is due from `from` to `to`, ascending. The fastest may
    /// have waited as well, but not for long: it came as soon as it was flushed.
    pub fn delays(&self, from: i64, to: i64) -> Vec<Duration> {
        let seen = self.seen.lock().expect("no thread panics in here");
        let mut delays = Vec::new();
        for rows in seen.values() {
            let after = |(due, at): &(i64, Duration)| at.as_millis() as i64 - due;
            let rows = || rows.iter().filter(|(due, _)| (from..to).contains(due));
            let least = rows().map(after).min().unwrap_or(0);
            delays.extend(rows().map(|row| Duration::from_millis((after(row) - least).max(0) as u64)));
        }
        delays.sort_unstable();
        delays
    }
}

/// The value that so many per cent are not above. `ascending` is not empty.
pub fn percentile(ascending: &[Duration], per_cent: usize) -> Duration {
    ascending[(ascending.len() * per_cent / 100).min(ascending.len() - 1)]
}
