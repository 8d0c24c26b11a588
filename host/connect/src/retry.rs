//! The one retry policy: exponential back-off with full jitter. It reads only the kind of an error; what is worth another
//! try is decided where the error is made.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::units::Period;
use wasmill_stream::{Error, ErrorKind, Result};

/// How often a lasting failure is logged.
const REMINDER: Duration = Duration::from_secs(30);

/// How long to go on trying.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Upper bound of the first pause. It doubles with each failure.
    pub first: Duration,
    /// Upper bound of every pause.
    pub longest: Duration,
    /// When to give up; `None`: never.
    pub total: Option<Duration>,
}

impl Patience {
    /// While a job runs: the other side comes back some day, and until then nothing is read or lost.
    pub const ENDLESS: Self = Self { first: Duration::from_millis(200), longest: Duration::from_secs(10), total: None };

    /// While a job starts: long enough for a hiccup and short enough for someone who mistyped an address.
    pub const START: Self = Self {
        first: Duration::from_millis(250),
        longest: Duration::from_secs(2),
        total: Some(Duration::from_secs(10)),
    };

    /// The same, for as long as `start_timeout` says if it is there.
    pub fn check_start(section: &mut Section<'_>, problems: &mut Problems) -> Self {
        let total = section.optional("start_timeout", problems).map(|total: Period| total.duration());
        Self { total: total.or(Self::START.total), ..Self::START }
    }

    /// Upper bound of the pause after so many failures in a row.
    fn bound(&self, failures: u32) -> Duration {
        let doubled = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

/// The failures in a row of one thing that is tried again and again.
pub struct Backoff {
    patience: Patience,
    random: StdRng,
    failures: u32,
    first_failure: Instant,
    last_warning: Option<Instant>,
    /// Counts the failures.
    ledger: Option<Arc<StepLedger>>,
}

impl Backoff {
    /// Nothing has failed yet.
    pub fn new(patience: Patience) -> Self {
        // The standard library seeds its hash maps from the system's randomness, which is all a jitter needs.
        let seed = RandomState::new().hash_one("jitter");
        let random = StdRng::seed_from_u64(seed);
        Self { patience, random, failures: 0, first_failure: Instant::now(), last_warning: None, ledger: None }
    }

    /// The same, whose failures count among the retries of a step.
    pub fn counting(mut self, ledger: &Arc<StepLedger>) -> Self {
        self.ledger = Some(ledger.clone());
        self
    }

    /// Waits after a failure. Gives the error back if another try is pointless or patience has run out.
    pub async fn wait(&mut self, error: Error) -> Result<()> {
        tokio::time::sleep(self.pause(error)?).await;
        Ok(())
    }

    /// How long to wait after a failure, for those who have other things to do meanwhile.
    pub fn pause(&mut self, error: Error) -> Result<Duration> {
        if error.kind() != ErrorKind::Unavailable {
            return Err(error);
        }
        if self.failures == 0 {
            self.first_failure = Instant::now();
        }
        self.failures += 1;
        let pause = self.patience.bound(self.failures).mul_f64(self.random.random());
        let since = self.first_failure.elapsed();
        if self.patience.total.is_some_and(|total| since + pause > total) {
            return Err(error.context(format!(
                "gave up after {} tries in {:.1} s",
                self.failures,
                since.as_secs_f64()
            )));
        }
        self.ledger.iter().for_each(|ledger| StepLedger::add(&ledger.retries, 1));
        self.warn(&error);
        Ok(pause)
    }

    /// A number between 0 and 1, for pauses that are found elsewhere.
    pub fn jitter(&mut self) -> f64 {
        self.random.random()
    }

    /// Ends a row of failures.
    pub fn succeeded(&mut self) {
        if self.failures > 0 && self.last_warning.take().is_some() {
            let after = self.first_failure.elapsed().as_secs_f64();
            tracing::info!(failures = self.failures, "works again after {after:.1} s");
        }
        self.failures = 0;
    }

    fn warn(&mut self, error: &Error) {
        if self.last_warning.is_none_or(|last| last.elapsed() >= REMINDER) {
            self.last_warning = Some(Instant::now());
            tracing::warn!(failures = self.failures, "trying again: {}", error.report());
        }
    }
}

/// Tries until there is an answer.
pub async fn patiently<T, F: Future<Output = Result<T>>>(act: impl FnMut() -> F) -> Result<T> {
    until_answered(Backoff::new(Patience::ENDLESS), act).await
}

/// Tries, with these pauses, until there is an answer.
pub async fn until_answered<T, F: Future<Output = Result<T>>>(
    mut backoff: Backoff,
    mut act: impl FnMut() -> F,
) -> Result<T> {
    loop {
        match act().await {
            Ok(done) => {
                backoff.succeeded();
                return Ok(done);
            }
            Err(error) => backoff.wait(error).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const QUICK: Patience = Patience {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(4),
        total: Some(Duration::from_millis(50)),
    };

    /// The bound of a pause doubles up to its limit, also after more failures than a shift can count.
    #[test]
    fn pauses_double_up_to_a_limit() {
        let millis: Vec<_> = [1, 2, 3, 4, 200].map(|failures| QUICK.bound(failures).as_millis()).into();
        assert_eq!(millis, [1, 2, 4, 4, 4]);
    }

    /// Pauses are spread over all that their bound allows: many who were refused at once do not come back at once.
    #[test]
    fn pauses_are_spread() {
        let mut backoff = Backoff::new(Patience::ENDLESS);
        let mut pause = || backoff.pause(Error::unavailable("connect to x")).expect("it never gives up");
        for _ in 0..10 {
            pause();
        }
        let quarters: BTreeSet<_> = (0..200).map(|_| (pause().as_secs_f64() / 2.5) as usize).collect();
        assert_eq!(quarters, BTreeSet::from([0, 1, 2, 3]));
    }

    /// An error that no patience can cure comes back at once, as it was.
    #[tokio::test]
    async fn only_unavailable_is_tried_again() {
        let mut backoff = Backoff::new(QUICK);
        let error = backoff.wait(Error::invalid("no such stream")).await.expect_err("not worth a try");
        assert_eq!(error.to_string(), "no such stream");
    }

    /// A failure that lasts ends in its own error with the number of tries in front.
    #[tokio::test]
    async fn patience_runs_out() {
        let mut backoff = Backoff::new(QUICK);
        let error = loop {
            if let Err(error) = backoff.wait(Error::unavailable("connect to x")).await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().starts_with("gave up after "), "{error}");
        assert!(error.to_string().ends_with(": connect to x"), "{error}");
    }
}
