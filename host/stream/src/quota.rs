//! What some jobs may take together: the jobs of a tenant. Every limit can change while they run, and says how often it was
//! hit. Pure: whoever spends says what time it is.

use crate::units::ByteCount;
use crate::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So much of a rate may be saved up: what comes in bursts is not slowed down for that.
const BURST: Duration = Duration::from_millis(250);

/// What some jobs may take together, and what they have taken.
#[derive(Debug)]
pub struct Quota {
    /// Whose it is, for messages: `tenant acme`.
    pub owner: String,
    /// CPU time of workers: plugins and operators. In nanoseconds per second.
    pub cpu: Rate,
    /// Linear memory of all instances of plugins, bytes.
    pub memory: Pool,
    /// States of all steps, bytes.
    pub state: Pool,
    /// Windows that are open, per key, and keys with a state.
    pub windows: Pool,
    /// What goes to sinks, bytes per second.
    pub output: Rate,
    /// What plugins write to the log, bytes per second.
    pub log: Rate,
    /// Different metrics that plugins keep.
    pub metrics: Pool,
}

impl Quota {
    /// Without limits.
    pub fn unlimited(owner: impl Into<String>) -> Self {
        Self {
            owner: owner.into(),
            cpu: Rate::default(),
            memory: Pool::default(),
            state: Pool::default(),
            windows: Pool::default(),
            output: Rate::default(),
            log: Rate::default(),
            metrics: Pool::default(),
        }
    }

    /// Each limit with its name.
    pub fn pools(&self) -> [(&'static str, &Pool); 4] {
        [("memory", &self.memory), ("state", &self.state), ("windows", &self.windows), ("metrics", &self.metrics)]
    }

    /// Each limit of something per second with its name.
    pub fn rates(&self) -> [(&'static str, &Rate); 3] {
        [("cpu", &self.cpu), ("output", &self.output), ("log", &self.log)]
    }

    /// A step holds so much more state and so many more windows than before. An error if all together hold too much.
    pub fn grow(&self, bytes: u64, windows: u64) -> Result<()> {
        let owner = &self.owner;
        let (bytes_fit, windows_fit) = (self.state.overdraw(bytes), self.windows.overdraw(windows));
        let message = if !bytes_fit && bytes > 0 {
            let (used, limit) = (self.state.used(), self.state.limit().unwrap_or_default());
            let (used, limit) = (ByteCount::new(used), ByteCount::new(limit));
            format!("quota `state` of {owner}: the states of all its jobs take {used}, the limit is {limit}")
        } else if !windows_fit && windows > 0 {
            let (used, limit) = (self.windows.used(), self.windows.limit().unwrap_or_default());
            format!("quota `windows` of {owner}: all its jobs have {used} open, the limit is {limit}")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Denied, message)
            .hint("use fewer keys, let windows close earlier, or ask whoever runs the host for more"))
    }

    /// A step holds so much less.
    pub fn shrink(&self, bytes: u64, windows: u64) {
        self.state.give_back(bytes);
        self.windows.give_back(windows);
    }
}

/// Something of which there is so much, and which is given back.
#[derive(Debug)]
pub struct Pool {
    /// `u64::MAX`: no limit.
    limit: AtomicU64,
    used: AtomicU64,
    refused: AtomicU64,
}

impl Default for Pool {
    fn default() -> Self {
        Self { limit: AtomicU64::new(u64::MAX), used: AtomicU64::default(), refused: AtomicU64::default() }
    }
}

impl Pool {
    /// Changes how much there is. What has been taken stays taken.
    pub fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(u64::MAX), Relaxed);
    }

    /// How much there is.
    pub fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Relaxed)).filter(|limit| *limit != u64::MAX)
    }

    /// How much is taken.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// How often there was not enough.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Takes so much, or nothing if there is not that much left.
    pub fn take(&self, amount: u64) -> bool {
        let limit = self.limit.load(Relaxed);
        let fits = |used: u64| used.checked_add(amount).filter(|used| *used <= limit || amount == 0);
        let is_taken = self.used.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if !is_taken {
            self.refused.fetch_add(1, Relaxed);
        }
        is_taken
    }

    /// Takes so much, however much there is: it is gone already. Tells whether there was that much.
    pub fn overdraw(&self, amount: u64) -> bool {
        let used = self.used.fetch_add(amount, Relaxed).saturating_add(amount);
        let fits = used <= self.limit.load(Relaxed) || amount == 0;
        if !fits {
            self.refused.fetch_add(1, Relaxed);
        }
        fits
    }

    /// Gives so much back.
    pub fn give_back(&self, amount: u64) {
        // Nobody gives back more than was taken.
        let _ = self.used.fetch_update(Relaxed, Relaxed, |used| Some(used.saturating_sub(amount)));
    }
}

/// Something of which there is so much in a second. What is spent beyond that has to be waited for.
#[derive(Debug)]
pub struct Rate {
    /// Per second; `u64::MAX`: no limit.
    limit: AtomicU64,
    spent: AtomicU64,
    /// Nanoseconds for which somebody had to wait.
    waited: AtomicU64,
    /// What could not be had.
    refused: AtomicU64,
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// What is spent is paid for by then.
    paid_until: Option<Instant>,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            limit: AtomicU64::new(u64::MAX),
            spent: AtomicU64::default(),
            waited: AtomicU64::default(),
            refused: AtomicU64::default(),
            account: Mutex::default(),
        }
    }
}

impl Rate {
    /// Changes how much there is in a second. If it is another limit, what was spent before is forgotten.
    pub fn set_limit(&self, limit: Option<u64>) {
        let limit = limit.unwrap_or(u64::MAX).max(1);
        if self.limit.swap(limit, Relaxed) != limit {
            self.account.lock().unwrap_or_else(PoisonError::into_inner).paid_until = None;
        }
    }

    /// How much there is in a second.
    pub fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Relaxed)).filter(|limit| *limit != u64::MAX)
    }

    /// How much has been spent so far.
    pub fn spent(&self) -> u64 {
        self.spent.load(Relaxed)
    }

    /// For how long somebody had to wait so far, all waits together.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.load(Relaxed))
    }

    /// How often something could not be had.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Spends so much. Whoever did has to wait so long before spending more: what several have spent is waited for by all.
    pub fn spend(&self, amount: u64, now: Instant) -> Duration {
        self.spent.fetch_add(amount, Relaxed);
        let Some(cost) = self.cost(amount) else { return Duration::ZERO };
        let paid_until = self.pay(cost, now);
        paid_until.saturating_duration_since(now)
    }

    /// Spends so much if there is that much now, without waiting. What is more than there can ever be at once is taken when all
    /// of that is there, and paid for afterwards.
    pub fn try_spend(&self, amount: u64, now: Instant) -> bool {
        let Some(cost) = self.cost(amount) else {
            self.spent.fetch_add(amount, Relaxed);
            return true;
        };
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let from = account.from(now);
        let has_room = from + cost.min(BURST) <= now;
        if has_room {
            account.paid_until = Some(from + cost);
            self.spent.fetch_add(amount, Relaxed);
        } else {
            self.refused.fetch_add(1, Relaxed);
        }
        has_room
    }

    /// Somebody has waited so long.
    pub fn has_waited(&self, time: Duration) {
        self.waited.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The time in which there is so much; `None`: there is no limit.
    fn cost(&self, amount: u64) -> Option<Duration> {
        let limit = self.limit()?;
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(limit);
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    fn pay(&self, cost: Duration, now: Instant) -> Instant {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let paid_until = account.from(now) + cost;
        account.paid_until = Some(paid_until);
        paid_until
    }
}

impl Account {
    /// From when on what is spent now is paid for: nobody saves up more than a burst.
    fn from(&self, now: Instant) -> Instant {
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        self.paid_until.map_or(earliest, |paid_until| paid_until.max(earliest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A pool never gives more than it has, also when its limit falls below what is taken; nothing can always be had.
    #[test]
    fn a_pool_has_a_bottom() {
        let pool = Pool::default();
        assert!(pool.take(u64::MAX - 1) && pool.limit().is_none());
        pool.give_back(u64::MAX - 1);
        pool.set_limit(Some(10));
        assert!(pool.take(10) && pool.take(0) && !pool.take(1));
        pool.set_limit(Some(5));
        pool.give_back(4);
        assert!(!pool.take(1) && pool.take(0));
        pool.give_back(2);
        assert!(pool.take(1) && !pool.take(1));
        assert_eq!((pool.used(), pool.refused()), (5, 3));
    }

    /// What is spent within a burst costs no time; what is beyond is waited for by all, and no longer than it takes to be there
    /// again.
    #[test]
    fn a_rate_is_waited_for() {
        let (rate, start) = (Rate::default(), Instant::now() + Duration::from_secs(10));
        assert_eq!(rate.spend(u64::MAX / 2, start), Duration::ZERO);
        rate.set_limit(Some(1_000));
        assert_eq!(rate.spend(250, start), Duration::ZERO);
        assert_eq!(rate.spend(100, start), Duration::from_millis(100));
        assert_eq!(rate.spend(50, start), Duration::from_millis(150));
        assert!(!rate.try_spend(500, start));
        assert_eq!(rate.spend(0, start + Duration::from_millis(150)), Duration::ZERO);
        assert!(rate.try_spend(250, start + Duration::from_secs(9)), "a pause fills it again, up to a burst");
        assert!(!rate.try_spend(1, start + Duration::from_secs(9)));
        assert!(rate.try_spend(1_000, start + Duration::from_secs(10)), "nothing is too large for ever");
        assert!(!rate.try_spend(1, start + Duration::from_millis(10_700)), "but it is paid for");
        assert_eq!(rate.refused(), 3);
        rate.spend(1_000_000, start);
        rate.set_limit(Some(2_000));
        assert_eq!(rate.spend(500, start), Duration::ZERO, "nobody waits for what was spent at another rate");
    }

    proptest! {
        /// Whoever always waits as told → never gets more than the rate and one burst, and what he spends last.
        #[test]
        fn nobody_gets_more(limit in 1_u64..1_000_000, amounts in prop::collection::vec(0_u64..10_000, 1..50)) {
            let (rate, start) = (Rate::default(), Instant::now() + Duration::from_secs(10));
            rate.set_limit(Some(limit));
            let (mut now, mut before) = (start, 0);
            for amount in amounts {
                let had = limit as f64 * ((now - start) + BURST).as_secs_f64();
                prop_assert!(before as f64 <= had + 1.0, "{before} of {had}");
                now += rate.spend(amount, now);
                before += amount;
            }
        }
    }
}
