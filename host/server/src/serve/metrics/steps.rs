//! What becomes of rows and of time in sources, steps and sinks.

use super::page::{About, Labels, Page};
use super::{Seen, and, steps};
use prometheus_client::registry::Unit;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use wasmill_stream::ledger::{Counts, Latency, StepLedger};

/// A counter of a step, and how it is read.
type OfStep = (About, fn(&Counts) -> u64);

const OF_STEPS: [OfStep; 9] = [
    (("wasmill_records_in", "Rows that a source, step or sink has read"), |counts| counts.read),
    (("wasmill_records_out", "Rows that went out of it"), |counts| counts.written),
    (("wasmill_records_emitted", "Rows read that led to something"), |counts| counts.emitted),
    (("wasmill_records_filtered", "Rows read that its logic dropped on purpose"), |counts| counts.filtered),
    (("wasmill_records_late", "Rows read after their window had closed"), |counts| counts.late),
    (("wasmill_records_rejected", "Rows read that were refused with a reason"), |counts| counts.rejected),
    (("wasmill_records_control", "Watermark markers read"), |counts| counts.control),
    (("wasmill_windows_fired", "Windows, per key, that have fired"), |counts| counts.fired),
    (("wasmill_timers_fired", "Timers that have fired"), |counts| counts.timers),
];

impl Page {
    /// Rows, state, event time and time at work of every source, step and sink.
    pub(super) fn steps(&mut self, seen: &[Seen]) {
        for (about, value) in OF_STEPS {
            self.counter(about, steps(seen).map(|(labels, step)| (labels, value(&step.counts()))));
        }
        let waiting = steps(seen).map(|(labels, step)| (labels, step.counts().in_flight() as f64));
        let about = ("wasmill_records_in_flight", "Rows read whose fate is open; at a sink: not yet safe");
        self.gauge(about, None, waiting);
        let bytes = steps(seen).map(|(labels, step)| (labels, step.bytes.load(Relaxed)));
        let about = ("wasmill_read", "Bytes of the values that came into a source or sink");
        self.counter_in(about, Some(Unit::Bytes), bytes);
        let letters = steps(seen).flat_map(|(labels, step)| {
            step.causes.look().into_iter().map(move |(cause, count)| (and(&labels, "cause", cause), count))
        });
        let about = ("wasmill_dead_letters", "Rows, windows and timers that left the pipeline, by cause");
        self.counter(about, letters);
        let refused = steps(seen).map(|(labels, step)| (labels, step.refused_firings.load(Relaxed)));
        self.counter(("wasmill_firings_refused", "Windows or timers, per key, that led to nothing"), refused);
        let stateful = || steps(seen).filter(|(_, step)| step.keeps_state.load(Relaxed));
        let state = stateful().map(|(labels, step)| (labels, step.state_bytes.load(Relaxed) as f64));
        self.gauge(("wasmill_state", "About how much memory the state of a step takes"), Some(Unit::Bytes), state);
        let windows = stateful().map(|(labels, step)| (labels, step.open_windows.load(Relaxed) as f64));
        self.gauge(("wasmill_open_windows", "Windows, per key, that hold state"), None, windows);
        self.event_time(seen);
        let now = Instant::now();
        let times = steps(seen).flat_map(|(labels, step)| {
            let times = step.activities.at(now);
            [("busy", times.busy), ("idle", times.idle), ("backpressured", times.backpressured)]
                .map(|(activity, time)| (and(&labels, "activity", activity), time.as_secs_f64()))
        });
        let about = ("wasmill_step_time", "What the workers of a step do with their time, together");
        self.seconds(about, times);
        let paused = steps(seen).map(|(labels, step)| (labels, f64::from(step.paused().is_some())));
        self.gauge(("wasmill_step_paused", "1 while a step stands still because its plugin fails"), None, paused);
    }

    fn event_time(&mut self, seen: &[Seen]) {
        let watermarks = || {
            let of = |(labels, step): (Labels, &Arc<StepLedger>)| Some((labels, step.watermark()?));
            // That of a source at its end is the end of time.
            steps(seen).filter_map(of).filter(|(_, watermark)| *watermark != i64::MAX)
        };
        let at = watermarks().map(|(labels, watermark)| (labels, watermark as f64 / 1e3));
        let about = ("wasmill_watermark_timestamp", "How far event time has come, since 1970");
        self.gauge(about, Some(Unit::Seconds), at);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let lags = watermarks().map(|(labels, watermark)| (labels, now - watermark as f64 / 1e3));
        let about = ("wasmill_event_time_lag", "How far event time is behind the clock on the wall");
        self.gauge(about, Some(Unit::Seconds), lags);
    }

    /// How far the open splits of sources are.
    pub(super) fn splits(&mut self, seen: &[Seen]) {
        let splits: Vec<_> = steps(seen)
            .flat_map(|(labels, step)| {
                step.splits.look().into_iter().map(move |(split, state)| (and(&labels, "split", split), state))
            })
            .collect();
        let at = splits.iter().filter_map(|(labels, split)| Some((labels.clone(), split.watermark? as f64 / 1e3)));
        let about = ("wasmill_split_watermark_timestamp", "How far the event time of a split has come, since 1970");
        self.gauge(about, Some(Unit::Seconds), at);
        let idle = splits.iter().map(|(labels, split)| (labels.clone(), f64::from(split.is_idle)));
        let about = ("wasmill_split_idle", "1 while a split is silent, caught up, and holds no watermark back");
        self.gauge(about, None, idle);
        let behind = splits.iter().filter_map(|(labels, split)| Some((labels.clone(), split.behind? as f64 / 1e3)));
        let about = ("wasmill_split_lag", "How far reading is behind the end of a split (MillisBehindLatest)");
        self.gauge(about, Some(Unit::Seconds), behind);
        let waiting = steps(seen).map(|(labels, step)| (labels, step.held_back.load(Relaxed) as f64));
        let about = ("wasmill_source_splits_held_back", "Splits with records for which the job has no room");
        self.gauge(about, None, waiting);
        let gaps = steps(seen).map(|(labels, step)| (labels, step.gaps.load(Relaxed)));
        self.counter(("wasmill_source_gaps", "Stretches of its input that a source has found to be lost"), gaps);
    }

    /// What sinks take, and what is tried again.
    pub(super) fn sinks(&mut self, seen: &[Seen]) {
        let latencies = |of: fn(&StepLedger) -> &Latency| {
            let seen = steps(seen).map(move |(labels, step)| (labels, of(step).look()));
            seen.filter(|(_, latencies)| latencies.count() > 0)
        };
        let about = ("wasmill_sink_write", "How long a sink took to write what it was given, or what it had buffered");
        self.latency(about, latencies(|step| &step.write_latency));
        let about = ("wasmill_sink_commit", "How long a sink took to prepare or to commit a checkpoint");
        self.latency(about, latencies(|step| &step.commit_latency));
        let retries = steps(seen).map(|(labels, step)| (labels, step.retries.load(Relaxed)));
        self.counter(("wasmill_retries", "How often a source or sink has failed and tried again"), retries);
    }
}
