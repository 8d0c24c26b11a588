//! A job that goes on in another run, in the same process: as another job file says, or from an older checkpoint.

use super::Live;
use super::rewind::Rewind;
use crate::control::Reply;
use crate::job::Job;
use tokio::sync::mpsc::UnboundedSender;

/// A job that is to be handed over to its next run.
pub struct HandOver {
    /// The job as it is to be.
    pub job: Job,
    /// What has changed, for people.
    pub changes: Vec<String>,
    /// To which checkpoint it goes back; `None`: it goes on where it is.
    pub rewind: Option<Rewind>,
    /// Who wants to know how it went.
    pub reply: Option<Reply>,
}

/// Where jobs go that are to be handed over.
pub type HandOvers = UnboundedSender<HandOver>;

impl HandOver {
    /// To another job file.
    pub fn to_file(job: Job, changes: Vec<String>) -> Self {
        Self { job, changes, rewind: None, reply: None }
    }
}

impl Live {
    /// Has the job handed over.
    pub fn send_over(&self, hand_over: HandOver) {
        // Nobody listens any more when the job ends.
        let _ = self.hand_overs.send(hand_over);
    }
}
