//! When to try again, when to look for the rows at fault, and when to stand still.

use crate::graph::Tolerance;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Error, ErrorKind, GuestFault, Result};

/// How often a plugin may ask to be called again.
const RETRIES: u32 = 5;
/// How many calls in a row that are: before each pause a call is made twice.
pub const PATIENT_CALLS: u32 = 2 * RETRIES;
/// The pause before the first of them; it doubles.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The first pause of a step whose plugin fails on too many rows; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// So many failures are tolerated before shares are looked at: one of three rows says little.
const FEW: u64 = 10;
/// After so many rows older ones count half.
const MEMORY: u64 = 10_000;

/// Watches over the plugin of one step on one worker. While the step pauses, its rows wait and its sources with them;
/// nothing is lost, and the ledger says why it stands still.
pub struct Guard {
    ledger: Arc<StepLedger>,
    tolerance: Tolerance,
    /// Whether rows at fault have somewhere to go. If not, the first one ends the job.
    isolates: bool,
    /// Rows and failures that are remembered, and the failures of the call that is under way.
    rows: u64,
    failures: u64,
    current: (u64, u64),
    retries: u32,
    trips: u32,
    paused_since: Option<Instant>,
    pause: Option<Duration>,
}

impl Guard {
    /// Watches over a step. `isolates`: whether its rows at fault have somewhere to go.
    pub fn new(ledger: Arc<StepLedger>, tolerance: Tolerance, isolates: bool) -> Self {
        Self {
            ledger,
            tolerance,
            isolates,
            rows: 0,
            failures: 0,
            current: (0, 0),
            retries: 0,
            trips: 0,
            paused_since: None,
            pause: None,
        }
    }

    /// How long to wait before the failed call is made again. `None`: its error is the job's.
    pub fn take_pause(&mut self) -> Option<Duration> {
        self.pause.take()
    }

    /// A call has failed on its second instance as well. Tells to look for the rows at fault, or gives the error of the step.
    pub(super) fn judge(&mut self, error: Error, rows: usize) -> Result<Error> {
        self.current = (rows as u64, 0);
        match error.kind() {
            ErrorKind::Guest(GuestFault::Retry) if self.retries < RETRIES => {
                let pause = RETRY_PAUSE * 2u32.pow(self.retries);
                self.retries += 1;
                Err(self.stand_still(pause, error, "the plugin asks for patience"))
            }
            ErrorKind::Guest(GuestFault::Fatal) => Err(error),
            ErrorKind::Guest(_) if self.isolates => Ok(error),
            ErrorKind::Guest(_) => Err(error.hint(
                "a table [dead_letter] in the job file sets rows aside that a plugin fails on, and the job goes on",
            )),
            _ => Err(error),
        }
    }

    /// A row makes the plugin fail. An error if that is one too many.
    pub(super) fn poisoned(&mut self, error: &Error) -> Result<()> {
        self.current.1 += 1;
        let (rows, failures) = (self.rows + self.current.0, self.failures + self.current.1);
        if failures <= FEW || failures as f64 <= self.tolerance.share * rows as f64 {
            return Ok(());
        }
        // Judged afresh after the pause: by then the plugin may be another one.
        (self.rows, self.failures) = (0, 0);
        let why = format!("the plugin fails on {failures} of {rows} rows");
        Err(self.trip(Error::new(error.kind(), error.report()), &why))
    }

    fn trip(&mut self, error: Error, why: &str) -> Error {
        let pause = (FIRST_PAUSE * 2u32.pow(self.trips.min(10))).min(LAST_PAUSE);
        self.trips += 1;
        self.stand_still(pause, error, why)
    }

    /// A call has succeeded, in whole or in parts.
    pub(super) fn passed(&mut self, rows: usize) {
        let (_, failures) = std::mem::take(&mut self.current);
        self.rows += rows as u64;
        self.failures += failures;
        if self.rows > MEMORY {
            (self.rows, self.failures) = (self.rows / 2, self.failures / 2);
        }
        self.retries = 0;
        if self.paused_since.take().is_some() {
            self.trips = 0;
            self.ledger.pause(None);
        }
    }

    fn stand_still(&mut self, pause: Duration, error: Error, why: &str) -> Error {
        let since = *self.paused_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.tolerance.give_up {
            return error.context(format!("paused for {:?} without getting better: {why}", since.elapsed()));
        }
        self.ledger.pause(Some(format!("{why}; tries again in {pause:?}; {}", error.report())));
        self.pause = Some(pause);
        error
    }
}
