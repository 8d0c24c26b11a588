//! Marker events: records in the stream that say how far event time has come.

use wasmill_stream::Binary;
use wasmill_stream::time::iso8601;
use wasmill_stream::units::Period;

/// When to write markers, and how far the records have come.
#[derive(Debug, Clone)]
pub struct Markers {
    interval: i64,
    disorder: i64,
    marked: Option<i64>,
    latest: Option<i64>,
}

impl Markers {
    /// A marker per `interval` of event time. Records come at most `disorder` after later ones; what comes still later is
    /// late for the markers too.
    pub fn new(interval: Period, disorder: Period) -> Self {
        Self { interval: interval.millis().max(1), disorder: disorder.millis(), marked: None, latest: None }
    }

    /// The settings, by name.
    pub fn settings(&self) -> [(&'static str, String); 2] {
        let millis = |millis: i64| format!("{millis} ms");
        [("marker_interval", millis(self.interval)), ("marker_disorder", millis(self.disorder))]
    }

    /// The marker to write after a record of this time, now that the stream has come to `now`, if that is known.
    pub fn after(&mut self, time: i64, now: Option<i64>) -> Option<Binary> {
        self.latest = self.latest.max(Some(time));
        let due = now?.saturating_sub(self.disorder).div_euclid(self.interval).saturating_mul(self.interval);
        if self.marked.is_some_and(|marked| marked >= due) {
            return None;
        }
        self.marked = Some(due);
        Some(marker(due))
    }

    /// The marker to write after the last record: nothing is missing any more.
    pub fn last(&self) -> Option<Binary> {
        self.latest.map(|latest| marker(latest.saturating_add(1)))
    }
}

fn marker(watermark: i64) -> Binary {
    [text(watermark)].into_iter().collect()
}

/// The record that says that nothing earlier comes behind it.
pub fn text(watermark: i64) -> String {
    format!("{{\"type\":\"watermark\",\"watermark\":\"{}\"}}", iso8601(watermark))
}
