//! One store: the memory, log and clock that calls into one instance are held to. It knows nothing of the contract.

use crate::account::{Account, Subject};
use crate::engine;
use crate::failure::{self, Allowance, Failure};
use crate::limits::{Limits, Meter};
use crate::log::GuestLog;
use crate::wasi::Inert;
use cpu_time::ThreadTime;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use wasmill_stream::guest_ledger::Took;
use wasmill_stream::{Error, Result};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};

/// What the host keeps for an instance.
pub(crate) struct State {
    pub(crate) meter: Meter,
    pub(crate) log: GuestLog,
    pub(crate) account: Arc<Account>,
    pub(crate) wasi: Inert,
    /// The CPU time of the calling thread at which the call under way is over.
    stop: Duration,
}

/// A store with its limits. After a failed call it must not be used again.
pub(crate) struct Sandbox {
    store: Store<State>,
    limits: Limits,
}

impl Sandbox {
    pub(crate) fn new(engine: &Engine, account: Arc<Account>, limits: Limits) -> Self {
        let state = State {
            meter: Meter::new(&limits, account.quota.clone()),
            log: GuestLog::new(account.clone()),
            account,
            wasi: Inert::default(),
            stop: Duration::ZERO,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.meter);
        // Ticks only say when to look: what counts is CPU time, so that a busy machine does not fail an innocent guest.
        store.epoch_deadline_callback(|store| {
            let left = store.data().stop.saturating_sub(cpu_time());
            if left.is_zero() { Err(Trap::Interrupt.into()) } else { Ok(UpdateDeadline::Continue(engine::ticks(left))) }
        });
        Self { store, limits }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn account(&self) -> &Account {
        &self.store.data().account
    }

    /// A call begins whose latest event time is this, which a guest sees only if it is granted WASI.
    pub(crate) fn set_clock(&mut self, latest: Option<i64>) {
        self.store.data_mut().wasi.clock.set(latest);
    }

    /// Runs guest code within an allowance, and says how long it took. `function` is what messages call it.
    pub(crate) fn run<R>(
        &mut self,
        function: &str,
        allowance: Allowance,
        guest: impl FnOnce(&mut Store<State>) -> wasmtime::Result<R>,
    ) -> (Result<R>, Took) {
        let limit = allowance.cpu.duration();
        self.store.set_hostcall_fuel(usize::try_from(allowance.output.bytes()).unwrap_or(usize::MAX));
        self.store.set_epoch_deadline(engine::ticks(limit));
        let (start, begun) = (cpu_time(), Instant::now());
        let state = self.store.data_mut();
        state.stop = start.saturating_add(limit);
        state.log.forget();
        state.meter.forget();
        let result = guest(&mut self.store);
        let State { wasi, log, .. } = self.store.data_mut();
        wasi.streams.flush(log);
        let took = Took { cpu: cpu_time().saturating_sub(start), wall: begun.elapsed() };
        if let Some(bytes) = self.store.data_mut().meter.take_peak() {
            self.account().ledger.memory(bytes);
        }
        let result = result.map_err(|error| {
            let failure = failure::classify(&error, self.store.data_mut(), &self.limits, allowance);
            self.error(function, failure)
        });
        (result, took)
    }

    /// Counts a call with data, and warns if it was slow.
    pub(crate) fn count(&self, function: &str, rows: usize, took: Took) {
        let account = self.account();
        let slow = took.cpu > self.limits.slow.duration();
        account.ledger.call(rows, took, slow);
        if slow && account.slow.passes(Instant::now()) {
            let Subject { step, plugin, sha256 } = &account.subject;
            let (step, plugin, sha256) = (step.as_deref(), &**plugin, sha256.as_deref());
            let (limit, took) = (self.limits.slow, took.cpu.as_millis());
            tracing::warn!(step, plugin, sha256, rows, "`{function}` took {took}ms of CPU time, more than {limit}");
        }
    }

    /// An error of the guest in `function`, which is counted. Whoever runs the step names it.
    pub(crate) fn error(&self, function: &str, failure: Failure) -> Error {
        let account = self.account();
        account.ledger.fault(failure.fault);
        Error::guest(failure.fault, format!("plugin {}: `{function}` {}", account.subject.plugin, failure.words))
    }

    /// An error of whoever built the plugin or wrote its settings.
    pub(crate) fn invalid(&self, reason: &str) -> Error {
        Error::invalid(format!("{}: {reason}", self.account().subject))
    }
}

/// The CPU time of this thread so far; where the system does not tell, the time of day.
fn cpu_time() -> Duration {
    ThreadTime::try_now()
        .map(|time| time.as_duration())
        .unwrap_or_else(|_| SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}
