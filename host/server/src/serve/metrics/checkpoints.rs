//! Checkpoints.

use super::page::Page;
use super::{Seen, of_job, runs};
use prometheus_client::registry::Unit;
use wasmill_engine::Known;

impl Page {
    /// How many, how old, how long, how large, how often in vain.
    pub(super) fn checkpoints(&mut self, seen: &[Seen]) {
        let known: Vec<_> = runs(seen)
            .filter_map(|(labels, observed, _)| Some((labels, observed.checkpoints.as_ref()?.look())))
            .collect();
        let published = known.iter().map(|(labels, known)| (labels.clone(), known.published));
        self.counter(("wasmill_checkpoints", "Checkpoints that this run has published"), published);
        let failures = seen.iter().map(|seen| (of_job(seen), seen.job.failed_checkpoints()));
        let about = ("wasmill_checkpoint_failures", "How often writing or publishing a checkpoint has failed");
        self.counter(about, failures);
        let of = |value: fn(&Known) -> Option<f64>| {
            let known = known.iter().filter_map(move |(labels, known)| Some((labels.clone(), value(known)?)));
            known.collect::<Vec<_>>()
        };
        let ages = of(|known| known.at.map(|at| at.elapsed().as_secs_f64()));
        let about =
            ("wasmill_checkpoint_age", "How old the last checkpoint is, or when it was last found to hold everything");
        self.gauge(about, Some(Unit::Seconds), ages);
        let durations = of(|known| known.last.map(|_| known.cost.took.as_secs_f64()));
        let about = ("wasmill_checkpoint_duration", "How long the last one took, from its barrier to its commit");
        self.gauge(about, Some(Unit::Seconds), durations);
        let pauses = of(|known| known.last.map(|_| known.cost.pause.as_secs_f64()));
        let about = ("wasmill_checkpoint_pause", "The longest that a step stood still for the last one");
        self.gauge(about, Some(Unit::Seconds), pauses);
        let sizes = of(|known| known.last.map(|_| known.cost.written as f64));
        self.gauge(("wasmill_checkpoint_size", "State written for the last one"), Some(Unit::Bytes), sizes);
    }
}
