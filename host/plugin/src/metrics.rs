//! The `metrics` import: numbers that a plugin keeps about itself go to the ledger of its step. Names and their number are
//! limited, so that a plugin cannot make a metric of every row.

use crate::bindings::wasmill::plugin::metrics::Host;
use crate::log::printable;
use crate::sandbox::State;
use wasmill_stream::guest_ledger::{MAX_METRICS, Metric};

/// The longest name.
const MAX_NAME: usize = 64;

impl Host for State {
    fn count(&mut self, name: String, by: u64) {
        self.metric(&name, |before| match before {
            Some(Metric::Counter(sum)) => Metric::Counter(sum.saturating_add(by)),
            _ => Metric::Counter(by),
        });
    }

    fn gauge(&mut self, name: String, value: f64) {
        self.metric(&name, |_| Metric::Gauge(value));
    }

    fn observe(&mut self, name: String, value: f64) {
        self.metric(&name, |before| match before {
            Some(Metric::Histogram { count, sum, min, max }) => {
                Metric::Histogram { count: count + 1, sum: sum + value, min: min.min(value), max: max.max(value) }
            }
            _ => Metric::Histogram { count: 1, sum: value, min: value, max: value },
        });
    }
}

impl State {
    fn metric(&mut self, name: &str, change: impl FnOnce(Option<Metric>) -> Metric) {
        if !is_name(name) {
            self.log.warn(&format!(
                "the metric \"{}\" is dropped: expected a name of 1 to {MAX_NAME} letters, digits and `_`",
                printable(name)
            ));
        } else if !self.account.ledger.metric(name, || self.account.take_metric(), change) {
            self.log.warn(&format!(
                "the metric {name} is dropped: a plugin may have {MAX_METRICS} different ones, or what the quota \
                 `metrics` of its tenant leaves"
            ));
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
