//! Watermarks: how far event time has come. A watermark of `w` says that no row earlier than `w` is expected any more.
//! Each split has its own; a source's is the minimum of its splits, taken before any exchange.

mod reached;

use crate::field::FieldSpec;
use crate::source::CaughtUp;
use crate::units::Period;
use reached::Reached;

/// How the rows of a source get their event time.
#[derive(Debug, Clone, PartialEq)]
pub enum EventTime {
    /// A field of the JSON value.
    Field(FieldSpec),
    /// The source's decoder plugin sets it.
    Plugin,
    /// The time at which the host read the row. Windows are then not repeatable.
    Arrival,
}

/// How a split's watermark follows its rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// Rows come at most so much out of order: the watermark is the latest event time minus this.
    BoundedDisorder(Period),
    /// Marker events in the stream, `{"type":"watermark","watermark":"2013-01-01T00:05:00Z"}`, say it. They are obeyed
    /// and not handed on.
    Markers,
}

/// The watermark settings of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct WatermarkSpec {
    /// How a split's watermark follows its rows.
    pub strategy: Strategy,
    /// A split that has found nothing to read for so long is left out of the minimum. `None`: it holds the watermark.
    pub idle_timeout: Option<Period>,
    /// A row whose time is further ahead of the wall clock than this is refused, and a marker is not obeyed. And a single row
    /// takes the watermark of its split no further than this: what goes beyond has to be confirmed by two more.
    pub max_future: Period,
}

impl Default for WatermarkSpec {
    fn default() -> Self {
        Self {
            strategy: Strategy::BoundedDisorder(Period::from_millis(60_000)),
            idle_timeout: Some(Period::from_millis(30_000)),
            max_future: Period::from_millis(300_000),
        }
    }
}

/// How far the event time of a split, of several, or of a whole source has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No row earlier than this (milliseconds) is expected. `i64::MIN` before anything is known.
    At(i64),
    /// Silent and caught up: does not hold others back, and does not let event time run on alone either.
    Idle,
    /// Ended for good.
    Done,
}

impl Progress {
    /// Nothing is known yet: holds everything.
    pub const UNKNOWN: Self = Self::At(i64::MIN);

    /// The progress of both together: the earlier of two times; an idle one counts only if no other is active, and
    /// then holds; only when all have ended has the whole ended. Associative and commutative, [`Progress::Done`] is neutral.
    pub fn meet(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::At(a), _) | (_, Self::At(a)) => Self::At(a),
            (Self::Idle, _) | (_, Self::Idle) => Self::Idle,
            (Self::Done, Self::Done) => Self::Done,
        }
    }

    /// The watermark that follows, given the one before. It never goes back; when everything is idle it holds, and it
    /// reaches the end of time only when everything has ended.
    pub fn watermark(self, before: i64) -> i64 {
        match self {
            Self::At(time) => before.max(time),
            Self::Idle => before,
            Self::Done => i64::MAX,
        }
    }
}

/// Follows one split. Wall-clock times are milliseconds since the epoch and are passed in.
#[derive(Debug)]
pub struct SplitClock {
    spec: WatermarkSpec,
    watermark: i64,
    reached: Reached,
    quiet: Option<Quiet>,
    last_row: i64,
    done: bool,
}

/// A split has caught up.
#[derive(Debug)]
struct Quiet {
    /// There was nothing to read up to here.
    confirmed: i64,
    /// From here on nobody knows.
    holds_until: i64,
}

impl SplitClock {
    /// A split that was just opened.
    pub fn new(spec: WatermarkSpec, now: i64) -> Self {
        // Rows as far apart as the disorder are ordinary.
        let disorder = match spec.strategy {
            Strategy::BoundedDisorder(disorder) => disorder.millis(),
            _ => 0,
        };
        let reached = Reached::new(spec.max_future.millis().max(disorder));
        Self { spec, watermark: i64::MIN, reached, quiet: None, last_row: now, done: false }
    }

    /// The same, at the watermark that the split had when a checkpoint was taken.
    pub fn resumed(mut self, watermark: Option<i64>) -> Self {
        watermark.into_iter().for_each(|watermark| self.inherit(watermark));
        self
    }

    /// The split goes on after others that had this watermark.
    pub fn inherit(&mut self, watermark: i64) {
        self.raise(watermark);
        if let Strategy::BoundedDisorder(disorder) = self.spec.strategy {
            self.reached.raise(watermark.saturating_add(disorder.millis()));
        }
    }

    /// The watermark; `None` while nothing is known.
    pub fn watermark(&self) -> Option<i64> {
        Some(self.watermark).filter(|watermark| *watermark != i64::MIN)
    }

    /// Whether the split has ended.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Rows were read at these event times. Returns whether some of them are later than [`SplitClock::limit`]: those move
    /// nothing.
    pub fn rows(&mut self, times: &[i64], now: i64) -> bool {
        self.active(now);
        let Some(latest) = times.iter().copied().max() else { return false };
        let limit = self.limit(now);
        if let Strategy::BoundedDisorder(disorder) = self.spec.strategy {
            self.reached.rows(times, latest, limit);
            self.raise(self.reached.latest().saturating_sub(disorder.millis()));
        }
        latest > limit
    }

    /// The latest event time that a row can have.
    pub fn limit(&self, now: i64) -> i64 {
        now.saturating_add(self.spec.max_future.millis())
    }

    /// A marker said that nothing earlier than `watermark` will come.
    pub fn marker(&mut self, watermark: i64, now: i64) {
        self.active(now);
        if self.spec.strategy == Strategy::Markers && watermark <= self.limit(now) {
            self.raise(watermark);
        }
    }

    /// The split has nothing to read at the moment.
    pub fn caught_up(&mut self, caught_up: CaughtUp, now: i64) {
        self.quiet = Some(match caught_up {
            CaughtUp::UntilNext => Quiet { confirmed: i64::MAX, holds_until: i64::MAX },
            CaughtUp::Looked { again_within } => {
                let millis = i64::try_from(again_within.as_millis()).unwrap_or(i64::MAX);
                Quiet { confirmed: now, holds_until: now.saturating_add(millis) }
            }
        });
    }

    /// The split has ended.
    pub fn finish(&mut self) {
        self.done = true;
    }

    /// How far it is.
    pub fn progress(&self, now: i64) -> Progress {
        if self.done {
            return Progress::Done;
        }
        // A split that cannot be read is not silent: what it was found to be silent for counts, not how long ago that was.
        let is_idle = |timeout: &Period| {
            let quiet = self.quiet.as_ref().filter(|quiet| now < quiet.holds_until);
            quiet.is_some_and(|quiet| now.min(quiet.confirmed).saturating_sub(self.last_row) >= timeout.millis())
        };
        match self.spec.idle_timeout.as_ref().is_some_and(is_idle) {
            true => Progress::Idle,
            false => Progress::At(self.watermark),
        }
    }

    fn active(&mut self, now: i64) {
        self.last_row = now;
        self.quiet = None;
    }

    fn raise(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::Strategy as _;
    use std::time::Duration;

    const NOW: i64 = 1_700_000_000_000;

    fn clock(strategy: Strategy) -> SplitClock {
        SplitClock::new(WatermarkSpec { strategy, ..WatermarkSpec::default() }, NOW)
    }

    /// Rows and markers from the far future → they are told, however many there are, and move no watermark.
    #[test]
    fn the_future_moves_nothing() {
        const DAY: i64 = 86_400_000;
        let mut split = clock(Strategy::BoundedDisorder(Period::from_millis(1_000)));
        assert!(split.rows(&[NOW + DAY, i64::MAX], NOW));
        assert_eq!(split.progress(NOW), Progress::UNKNOWN);
        assert!(!split.rows(&[NOW - 60_000, i64::MIN], NOW));
        assert!(split.rows(&[NOW + DAY; 9], NOW));
        assert!(split.rows(&[NOW + 300_001], NOW));
        assert_eq!(split.watermark(), None, "the second row was the first one's only witness");
        assert!(!split.rows(&[NOW - 60_000], NOW));
        assert_eq!(split.progress(NOW), Progress::At(NOW - 61_000));
        assert!(!split.rows(&[NOW + 200_000], NOW));
        assert_eq!(split.progress(NOW), Progress::At(NOW + 199_000));
        let mut split = clock(Strategy::Markers);
        split.marker(5, NOW);
        split.marker(NOW + DAY, NOW);
        assert_eq!(split.progress(NOW), Progress::At(5));
    }

    /// A split that goes on after a checkpoint or after another split, and whose first row is of another day → it stays where
    /// those were.
    #[test]
    fn leaps_are_from_where_others_were() {
        let disorder = Strategy::BoundedDisorder(Period::from_millis(1_000));
        let mut heir = clock(disorder.clone());
        heir.inherit(5);
        for mut split in [clock(disorder).resumed(Some(5)), heir] {
            split.rows(&[86_400_000], NOW);
            assert_eq!(split.watermark(), Some(5));
            split.rows(&[2_000], NOW);
            assert_eq!(split.watermark(), Some(1_000));
        }
    }

    /// Has looked, and will again within five seconds.
    const LOOKED: CaughtUp = CaughtUp::Looked { again_within: Duration::from_secs(5) };

    /// Only a split that has found nothing for long enough is idle, as long as it goes on looking or would know; its next row
    /// brings it back.
    #[test]
    fn idleness_needs_silence_and_having_caught_up() {
        let mut split = clock(Strategy::BoundedDisorder(Period::from_millis(0)));
        split.rows(&[5], NOW);
        assert_eq!(split.progress(NOW + 60_000), Progress::At(5));
        split.caught_up(LOOKED, NOW + 29_999);
        assert_eq!(split.progress(NOW + 30_000), Progress::At(5));
        split.caught_up(LOOKED, NOW + 30_000);
        assert_eq!(split.progress(NOW + 34_999), Progress::Idle);
        assert_eq!(split.progress(NOW + 35_000), Progress::At(5));
        split.rows(&[7], NOW + 40_000);
        assert_eq!(split.progress(NOW + 90_000), Progress::At(7));
        split.caught_up(CaughtUp::UntilNext, NOW + 41_000);
        assert_eq!(split.progress(NOW + 69_999), Progress::At(7));
        assert_eq!(split.progress(NOW + 70_000), Progress::Idle);
        split.finish();
        assert_eq!(split.progress(NOW + 90_000), Progress::Done);
    }

    /// Three splits, of which two cannot be read for three times the idle time; one was idle by then and one had just caught
    /// up → the third does not take the watermark past the rows that come to them meanwhile.
    #[test]
    fn an_outage_is_no_silence() {
        const MINUTE: i64 = 60_000;
        let mut splits = [(); 3].map(|()| clock(Strategy::BoundedDisorder(Period::from_millis(MINUTE))));
        let mut watermark = i64::MIN;
        for now in (NOW..NOW + 5 * MINUTE).step_by(1_000) {
            let [quiet, busy, readable] = &mut splits;
            readable.rows(&[now], now);
            // The outage begins after two minutes and lasts for a minute and a half.
            let is_down = (NOW + 2 * MINUTE..NOW + 3 * MINUTE + 30_000).contains(&now);
            if now == NOW {
                quiet.rows(&[now], now);
            }
            if !is_down {
                quiet.caught_up(LOOKED, now);
                busy.rows(&[now], now);
                busy.caught_up(LOOKED, now);
            }
            let progress = splits.iter().fold(Progress::Done, |all, split| all.meet(split.progress(now)));
            watermark = progress.watermark(watermark);
            if is_down {
                assert!(watermark <= NOW + 2 * MINUTE, "after {} s", (now - NOW) / 1_000);
            }
        }
        assert!(watermark > NOW + 3 * MINUTE, "it goes on when all can be read again");
    }

    /// With markers only markers count, and an older marker changes nothing.
    #[test]
    fn markers_rule() {
        let mut split = clock(Strategy::Markers);
        split.rows(&[500], NOW);
        assert_eq!(split.progress(NOW), Progress::UNKNOWN);
        split.marker(400, NOW);
        split.marker(300, NOW);
        assert_eq!(split.progress(NOW), Progress::At(400));
    }

    /// All idle holds the watermark, all ended releases it, and a split that knows nothing yet holds everything.
    #[test]
    fn meeting_of_progress() {
        use Progress::{At, Done, Idle};
        let meet = |all: &[Progress]| all.iter().fold(Done, |a, b| a.meet(*b));
        assert_eq!(meet(&[]).watermark(5), i64::MAX);
        assert_eq!(meet(&[Idle, Idle]).watermark(5), 5);
        assert_eq!(meet(&[Idle, Done]).watermark(5), 5);
        assert_eq!(meet(&[Idle, At(9), Done]).watermark(5), 9);
        assert_eq!(meet(&[At(9), Progress::UNKNOWN]).watermark(5), 5);
    }

    fn progress() -> impl proptest::strategy::Strategy<Value = Progress> {
        prop_oneof![any::<i64>().prop_map(Progress::At), Just(Progress::Idle), Just(Progress::Done)]
    }

    proptest! {
        /// The way splits are dealt to workers cannot change the minimum.
        #[test]
        fn meet_is_associative_and_commutative(a in progress(), b in progress(), c in progress()) {
            prop_assert_eq!(a.meet(b).meet(c), a.meet(b.meet(c)));
            prop_assert_eq!(a.meet(b), b.meet(a));
            prop_assert_eq!(a.meet(Progress::Done), a);
        }

        /// Whatever a split reports, the watermark that follows never goes back.
        #[test]
        fn watermarks_never_go_back(steps in proptest::collection::vec((any::<i64>(), 0u8..4), 0..50)) {
            let mut split = clock(Strategy::BoundedDisorder(Period::from_millis(10)));
            let (mut watermark, mut now) = (i64::MIN, NOW);
            for (value, kind) in steps {
                match kind {
                    0 => {
                        split.rows(&[value], now);
                    }
                    1 => split.marker(value, now),
                    2 => split.caught_up(LOOKED, now),
                    _ => now += 20_000,
                }
                let next = split.progress(now).watermark(watermark);
                prop_assert!(next >= watermark);
                watermark = next;
            }
        }
    }
}
