//! What a shard takes in a second, and how long to leave one in peace that has refused something. Pure: the time is passed in.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Records a second.
const RECORDS: f64 = 1_000.0;
/// Bytes a second.
const BYTES: f64 = (1 << 20) as f64;
/// Upper bound of the first pause after a refusal. It doubles with each one in a row.
const FIRST: Duration = Duration::from_millis(50);
/// Upper bound of every pause.
const LONGEST: Duration = Duration::from_secs(5);

/// The budgets of shards, by the first hash of each.
#[derive(Debug, Default)]
pub struct Budgets {
    shards: HashMap<u128, Budget>,
}

#[derive(Debug)]
struct Budget {
    records: f64,
    bytes: f64,
    at: Instant,
    closed_until: Instant,
    refusals: u32,
}

impl Budgets {
    /// When the shard takes the next record; not later than now: it does.
    pub fn opens(&mut self, shard: u128, now: Instant) -> Instant {
        let budget = self.budget(shard, now);
        // The last record may overdraw: a large one fits no second otherwise.
        let missing = ((1.0 - budget.records) / RECORDS).max(-budget.bytes / BYTES).max(0.0);
        budget.closed_until.max(now + Duration::from_secs_f64(missing))
    }

    /// A record of so many bytes is sent to the shard.
    pub fn spend(&mut self, shard: u128, bytes: usize, now: Instant) {
        let budget = self.budget(shard, now);
        budget.records -= 1.0;
        budget.bytes -= bytes as f64;
    }

    /// The shard has refused something. `jitter` is between 0 and 1.
    pub fn refused(&mut self, shard: u128, now: Instant, jitter: f64) {
        let budget = self.budget(shard, now);
        let doubled = 1u32.checked_shl(budget.refusals).unwrap_or(u32::MAX);
        budget.refusals = budget.refusals.saturating_add(1);
        let pause = FIRST.saturating_mul(doubled).min(LONGEST).mul_f64(jitter);
        budget.closed_until = budget.closed_until.max(now + pause);
    }

    /// The shard has taken something.
    pub fn accepted(&mut self, shard: u128, now: Instant) {
        self.budget(shard, now).refusals = 0;
    }

    fn budget(&mut self, shard: u128, now: Instant) -> &mut Budget {
        let budget = self.shards.entry(shard).or_insert(Budget {
            records: RECORDS,
            bytes: BYTES,
            at: now,
            closed_until: now,
            refusals: 0,
        });
        let passed = now.duration_since(budget.at).as_secs_f64();
        budget.records = (budget.records + passed * RECORDS).min(RECORDS);
        budget.bytes = (budget.bytes + passed * BYTES).min(BYTES);
        budget.at = now;
        budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A thousand records or a megabyte close a shard, which opens again as time passes; other shards stay open.
    #[test]
    fn a_second_is_worth_so_much() {
        let now = Instant::now();
        let mut budgets = Budgets::default();
        for _ in 0..1_000 {
            assert_eq!(budgets.opens(0, now), now);
            budgets.spend(0, 1, now);
        }
        assert_eq!(budgets.opens(0, now).duration_since(now).as_millis(), 1);
        assert_eq!(budgets.opens(1, now), now);
        budgets.spend(1, 3 << 20, now);
        assert_eq!(budgets.opens(1, now).duration_since(now).as_millis(), 2_000);
        assert_eq!(budgets.opens(1, now + 2 * SECOND), now + 2 * SECOND);
    }

    /// Refusals close a shard for longer and longer, up to a limit; one success ends that.
    #[test]
    fn refusals_are_left_in_peace() {
        let now = Instant::now();
        let mut budgets = Budgets::default();
        let mut at = now;
        for millis in [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            budgets.refused(0, at, 1.0);
            assert_eq!(budgets.opens(0, at).duration_since(at).as_millis(), millis);
            at += Duration::from_secs(10);
        }
        budgets.accepted(0, at);
        budgets.refused(0, at, 0.5);
        assert_eq!(budgets.opens(0, at).duration_since(at).as_millis(), 25);
    }
}
