//! External versions of documents: what makes a correction win over what it corrects, and a newer run over an older one that
//! was fenced off and has not noticed yet.

use wasmill_stream::{Error, Result};

/// Bits that count the calls of one run.
const CALLS: u32 = 30;
/// The server takes versions that fit a signed number.
const MAX_RUN: u64 = (i64::MAX as u64) >> CALLS;

/// The versions of one writer, ascending.
#[derive(Debug)]
pub struct Versions {
    run: u64,
    calls: u64,
}

impl Versions {
    /// Of a run; `None` in a job without checkpoints, whose runs have no order.
    pub fn of(run: u64) -> Result<Option<Self>> {
        if run > MAX_RUN {
            return Err(Error::internal(format!("run {run} is too large for a version of a document")));
        }
        Ok((run > 0).then_some(Self { run, calls: 0 }))
    }

    /// The version of the next call's documents. After a thousand million calls it stays, which a server takes for a newer
    /// one too: corrections go on to win as long as they arrive in order.
    pub fn next(&mut self) -> i64 {
        self.calls = (self.calls + 1).min((1 << CALLS) - 1);
        ((self.run << CALLS) | self.calls) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions ascend within a run and from run to run, never reach into those of the next run, and fit the server.
    #[test]
    fn newer_is_greater() {
        let next = |run, calls| Versions { run, calls }.next();
        assert!(Versions::of(0).expect("no run").is_none());
        assert!(0 < next(1, 0) && next(1, 0) < next(1, 1));
        assert!(next(1_795_000_000, u64::from(u32::MAX)) < next(1_795_000_001, 0));
        assert!(next(MAX_RUN, u64::from(u32::MAX)) > 0);
        assert!(Versions::of(MAX_RUN).is_ok() && Versions::of(MAX_RUN + 1).is_err());
    }
}
