//! How far each split of a source is, for whoever looks from outside.

use crate::watermark::Progress;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Nothing is known.
const UNKNOWN: i64 = i64::MIN;
/// The split is silent and holds nothing back.
const IDLE: i64 = i64::MIN + 1;

/// The open splits of a source, by what they are called within it.
#[derive(Debug, Default)]
pub struct Splits(Mutex<BTreeMap<String, Arc<SplitGauge>>>);

/// How far a split is. Whoever reads it and whoever follows its event time write; anybody looks.
#[derive(Debug)]
pub struct SplitGauge {
    /// Its watermark, or that there is none.
    watermark: AtomicI64,
    /// How many milliseconds what is read next is older than what was written last.
    behind: AtomicI64,
}

/// A split at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitState {
    /// How far its event time has come. Milliseconds.
    pub watermark: Option<i64>,
    /// Silent and caught up: it holds no watermark back.
    pub is_idle: bool,
    /// How far reading is behind the end of the split in milliseconds, if its server says.
    pub behind: Option<i64>,
}

impl Splits {
    /// The gauge of a split, which is open from now on.
    pub fn open(&self, part: &str) -> Arc<SplitGauge> {
        let mut splits = self.lock();
        match splits.get(part) {
            Some(known) => known.clone(),
            None => splits.entry(part.to_owned()).or_default().clone(),
        }
    }

    /// The split has ended: nobody asks for it any more.
    pub fn close(&self, part: &str) {
        self.lock().remove(part);
    }

    /// All open splits.
    pub fn look(&self) -> Vec<(String, SplitState)> {
        self.lock().iter().map(|(part, gauge)| (part.clone(), gauge.look())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<SplitGauge>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SplitGauge {
    fn default() -> Self {
        Self { watermark: AtomicI64::new(UNKNOWN), behind: AtomicI64::new(UNKNOWN) }
    }
}

impl SplitGauge {
    /// Its event time has come so far.
    pub fn follow(&self, progress: Progress) {
        let watermark = match progress {
            Progress::At(time) => time,
            Progress::Idle => IDLE,
            Progress::Done => UNKNOWN,
        };
        self.watermark.store(watermark, Relaxed);
    }

    /// What is read next is so many milliseconds older than the end of the split.
    pub fn is_behind(&self, millis: i64) {
        self.behind.store(millis.max(0), Relaxed);
    }

    fn look(&self) -> SplitState {
        let watermark = self.watermark.load(Relaxed);
        let behind = self.behind.load(Relaxed);
        SplitState {
            watermark: Some(watermark).filter(|watermark| *watermark > IDLE),
            is_idle: watermark == IDLE,
            behind: Some(behind).filter(|behind| *behind != UNKNOWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the reader and the engine say of a split is in one place until it ends, and nothing is made up before.
    #[test]
    fn a_split_from_both_sides() {
        let splits = Splits::default();
        let (reader, engine) = (splits.open("shard-1"), splits.open("shard-1"));
        let now = |splits: &Splits| splits.look().pop().map(|(part, state)| (part, state.watermark, state.behind));
        assert_eq!(now(&splits), Some(("shard-1".to_owned(), None, None)));
        reader.is_behind(250);
        engine.follow(Progress::At(-7));
        assert_eq!(now(&splits), Some(("shard-1".to_owned(), Some(-7), Some(250))));
        engine.follow(Progress::Idle);
        assert!(splits.look()[0].1.is_idle && splits.look()[0].1.watermark.is_none());
        splits.close("shard-1");
        assert_eq!(splits.look(), []);
    }
}
