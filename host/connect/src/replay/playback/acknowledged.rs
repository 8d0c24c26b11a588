//! Up to which event time everything that was sent has arrived. Pure.

use crate::replay::dealer::Clock;
use std::collections::BTreeMap;

/// What is on its way, by event time.
#[derive(Default)]
pub struct Acknowledged {
    /// How many events of each time have not arrived.
    on_their_way: BTreeMap<i64, usize>,
    clock: Clock,
    /// What the last events have all reached.
    reached: Option<i64>,
    latest: Option<i64>,
    /// How far events are out of order.
    disorder: i64,
}

impl Acknowledged {
    /// Nothing was sent. Events come at most so many milliseconds after later ones.
    pub fn new(disorder: i64) -> Self {
        Self { disorder, ..Self::default() }
    }

    /// An event was sent.
    pub fn sent(&mut self, time: i64) {
        *self.on_their_way.entry(time).or_default() += 1;
        self.latest = self.latest.max(Some(time));
        self.reached = self.reached.max(self.clock.advance(time));
    }

    /// An event has arrived.
    pub fn arrived(&mut self, time: i64) {
        if let Some(count) = self.on_their_way.get_mut(&time) {
            *count -= 1;
            if *count == 0 {
                self.on_their_way.remove(&time);
            }
        }
    }

    /// The latest time before which everything has arrived, and before which nothing more comes.
    pub fn watermark(&self) -> Option<i64> {
        let reached = self.reached?.saturating_sub(self.disorder);
        Some(self.on_their_way.keys().next().map_or(reached, |earliest| reached.min(*earliest)))
    }

    /// The latest time of all.
    pub fn latest(&self) -> Option<i64> {
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One event that does not arrive holds the watermark, others of its time do not help, and one from the far future moves
    /// nothing.
    #[test]
    fn what_is_on_its_way_holds() {
        let mut acknowledged = Acknowledged::new(0);
        assert_eq!(acknowledged.watermark(), None);
        [10, 20, 20, 30].into_iter().for_each(|time| acknowledged.sent(time));
        assert_eq!(acknowledged.watermark(), Some(10));
        [10, 30, 20].into_iter().for_each(|time| acknowledged.arrived(time));
        assert_eq!(acknowledged.watermark(), Some(20));
        acknowledged.arrived(20);
        assert_eq!(acknowledged.watermark(), Some(20));
        [86_400_000, 40, 50].into_iter().for_each(|time| acknowledged.sent(time));
        [86_400_000, 40, 50].into_iter().for_each(|time| acknowledged.arrived(time));
        assert_eq!((acknowledged.watermark(), acknowledged.latest()), (Some(40), Some(86_400_000)));
    }

    /// Events that may be out of order hold it by as much.
    #[test]
    fn disorder_is_allowed_for() {
        let mut acknowledged = Acknowledged::new(7);
        [10, 20, 30].into_iter().for_each(|time| acknowledged.sent(time));
        [10, 20, 30].into_iter().for_each(|time| acknowledged.arrived(time));
        assert_eq!(acknowledged.watermark(), Some(3));
    }
}
