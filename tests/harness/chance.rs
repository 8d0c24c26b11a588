//! Chance that can be had again: every number follows from a seed, which the test prints.

use super::report;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Numbers that look random (SplitMix64).
pub struct Chance(u64);

impl Chance {
    /// With the seed in `WASMILL_SEED`, or another one in every run. Says which.
    pub fn announced() -> Self {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let given = std::env::var("WASMILL_SEED").ok();
        let seed = given.map_or_else(clock, |seed| seed.parse().expect("WASMILL_SEED is a number"));
        report(&format!("WASMILL_SEED={seed}"));
        Self(seed)
    }

    /// With this seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Two of their own, for two threads.
    pub fn split(mut self) -> [Self; 2] {
        [Self(self.next()), Self(self.next())]
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A time shorter than `bound`.
    pub fn shorter(&mut self, bound: Duration) -> Duration {
        bound.mul_f64((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// How often to do something: so often, or as the environment says.
pub fn count(variable: &str, otherwise: usize) -> usize {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |given| given.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}
