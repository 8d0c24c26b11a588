//! What a sink is not allowed to write for the time being. It is neither an end nor a reason to throw documents away: the sink
//! pauses, which everybody can see, until it is allowed to.

use std::sync::{Arc, Mutex, PoisonError};
use wasmill_stream::ledger::StepLedger;

/// Whether the requests of a sink are let in.
#[derive(Debug)]
pub struct Admissions {
    ledger: Arc<StepLedger>,
    /// How many are not.
    waiting: Mutex<usize>,
}

/// Whether one request is let in. If it is not when this is dropped, nobody waits for that any more.
#[derive(Debug)]
pub struct Admission {
    all: Arc<Admissions>,
    refusals: u32,
}

impl Admissions {
    /// None was refused yet.
    pub fn new(ledger: Arc<StepLedger>) -> Arc<Self> {
        Arc::new(Self { ledger, waiting: Mutex::new(0) })
    }

    /// Of a new request.
    pub fn of_request(self: &Arc<Self>) -> Admission {
        Admission { all: self.clone(), refusals: 0 }
    }

    /// So many more wait, for this reason; or so many less.
    fn change(&self, more: isize, reason: Option<&str>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = waiting.saturating_add_signed(more);
        match reason {
            Some(reason) => self.ledger.pause(Some(format!("{reason}; it tries again until it is let in"))),
            None if *waiting == 0 => self.ledger.pause(None),
            None => {}
        }
    }
}

impl Admission {
    /// The server has refused. The first time it may be that credentials have expired, and the next try has fresh ones; from
    /// then on the sink pauses.
    pub fn refused(&mut self, reason: &str) {
        self.refusals += 1;
        if self.refusals > 1 {
            self.all.change(isize::from(self.refusals == 2), Some(reason));
        }
    }

    /// The server has let it in.
    pub fn granted(&mut self) {
        if std::mem::take(&mut self.refusals) > 1 {
            self.all.change(-1, None);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.granted();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A refusal that the next try cures is nobody's business; then the sink pauses for as long as one of its requests is not
    /// let in.
    #[test]
    fn pauses_while_one_waits() {
        let ledger = Arc::new(StepLedger::new("out"));
        let all = Admissions::new(ledger.clone());
        let (mut one, mut other) = (all.of_request(), all.of_request());
        one.refused("expired");
        assert_eq!(ledger.paused(), None);
        one.granted();
        (0..3).for_each(|_| one.refused("no right"));
        (0..2).for_each(|_| other.refused("no right either"));
        assert!(ledger.paused().is_some_and(|reason| reason.contains("no right either")));
        one.granted();
        assert!(ledger.paused().is_some());
        drop(other);
        assert_eq!(ledger.paused(), None);
    }
}
