//! What becomes of jobs.

use super::page::Page;
use super::{Seen, and, of_job, runs};
use crate::serve::status::State;
use prometheus_client::registry::Unit;

impl Page {
    /// States, restarts, uptime and downtime.
    pub(super) fn jobs(&mut self, seen: &[Seen]) {
        let states = seen.iter().flat_map(|seen| {
            let now = seen.job.state();
            State::ALL.map(|state| (and(&of_job(seen), "state", state), f64::from(state == now)))
        });
        self.gauge(("wasmill_job_state", "1 for the state that a job is in, 0 for the others"), None, states);
        let restarts = seen.iter().map(|seen| (of_job(seen), seen.job.restarts()));
        self.counter(("wasmill_job_restarts", "How often a job has failed and was to be started again"), restarts);
        let is_up = |seen: &&Seen| matches!(seen.job.state(), State::Running | State::Stopping);
        let uptimes = seen.iter().filter(is_up).filter_map(|seen| {
            let (_, now) = seen.run.as_ref()?;
            Some((of_job(seen), now.elapsed.as_secs_f64()))
        });
        let about = ("wasmill_job_uptime", "For how long the run of a job has lasted that is under way");
        self.gauge(about, Some(Unit::Seconds), uptimes);
        let downtimes = seen.iter().map(|seen| (of_job(seen), seen.job.downtime().as_secs_f64()));
        self.seconds(("wasmill_job_downtime", "For how long a job was to run and did not"), downtimes);
        let stalled = runs(seen).map(|(labels, _, now)| (labels, f64::from(now.stalled.is_some())));
        let about = ("wasmill_job_stalled", "1 while a job gets no further although there is something to do");
        self.gauge(about, None, stalled);
    }
}
