//! How far the times of a split's rows have come, as far as they can be believed. Pure.

/// Follows the latest time of rows. A row that is further ahead than one step moves it only as far as the rows
/// right before it confirm: one or two rows from another day make no others late, and neither does one that comes again
/// and again among others.
#[derive(Debug)]
pub struct Reached {
    /// `i64::MIN` before anything is known.
    latest: i64,
    /// The times of the last two rows.
    recent: [i64; 2],
    /// By how much a single row may move it.
    step: i64,
}

impl Reached {
    /// Nothing is known.
    pub fn new(step: i64) -> Self {
        Self { latest: i64::MIN, recent: [i64::MIN; 2], step }
    }

    /// The latest time that is believed; `i64::MIN` before there is one.
    pub fn latest(&self) -> i64 {
        self.latest
    }

    /// It has come so far at least.
    pub fn raise(&mut self, time: i64) {
        self.latest = self.latest.max(time);
    }

    /// Rows were read at these times, the latest of them at `max`. Times beyond `limit` count for nothing.
    pub fn rows(&mut self, times: &[i64], max: i64, limit: i64) {
        if max <= self.latest.saturating_add(self.step).min(limit) && self.latest != i64::MIN {
            self.raise(max);
            for &time in times.iter().rev().take(2).rev() {
                self.recent = [self.recent[1], time];
            }
            return;
        }
        let mut believable = times.iter().copied().filter(|time| *time <= limit);
        if self.latest == i64::MIN {
            // The first row may be the one that is wrong, and it may be the only one.
            let Some(lowest) = believable.clone().take(3).min() else { return };
            self.latest = lowest;
        }
        believable.by_ref().for_each(|time| self.row(time));
    }

    fn row(&mut self, time: i64) {
        let [before, last] = self.recent;
        self.recent = [last, time];
        let is_one_step = time <= self.latest.saturating_add(self.step);
        self.raise(if is_one_step { time } else { time.min(last).min(before) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    const DAY: i64 = 86_400_000;
    const STEP: i64 = 300_000;

    fn after(chunks: &[&[i64]]) -> i64 {
        let mut reached = Reached::new(STEP);
        chunks.iter().for_each(|times| rows(&mut reached, times));
        reached.latest()
    }

    fn rows(reached: &mut Reached, times: &[i64]) {
        reached.rows(times, times.iter().copied().max().unwrap_or(i64::MIN), i64::MAX);
    }

    /// Rows in steps are followed at once; a leap once three rows in a row have taken it; the first rows as far as three of
    /// them agree, or as many as there are.
    #[test]
    fn leaps_are_confirmed() {
        let cases: [(&[&[i64]], i64); 9] = [
            (&[], i64::MIN),
            (&[&[5]], 5),
            (&[&[DAY, 5, 6, 7]], 7),
            (&[&[5, DAY, 6]], 6),
            (&[&[5], &[STEP + 5], &[2 * STEP + 5]], 2 * STEP + 5),
            (&[&[5], &[STEP + 6], &[STEP + 8]], 5),
            (&[&[5], &[STEP + 9], &[STEP + 7], &[STEP + 8]], STEP + 7),
            (&[&[5, DAY], &[DAY], &[6], &[DAY, DAY]], 6),
            (&[&[5, 6], &[DAY, 2 * DAY, 3 * DAY, 4 * DAY]], 2 * DAY),
        ];
        for (chunks, expected) in cases {
            assert_eq!(after(chunks), expected, "{chunks:?}");
        }
    }

    /// A million rows in the order of their times, one of them dated a day later, at any place → at no time is anything
    /// believed that is later than the latest of the others.
    #[test]
    fn one_of_a_million() {
        const ROWS: i64 = 1_000_000;
        for wrong in [0, 1, 2, 4_095, 4_096, ROWS / 2, ROWS - 1] {
            let mut reached = Reached::new(STEP);
            let time = |row: i64| if row == wrong { row + DAY } else { row };
            for start in (0..ROWS).step_by(4_096) {
                let end = (start + 4_096).min(ROWS);
                rows(&mut reached, &Vec::from_iter((start..end).map(time)));
                assert!(reached.latest() < end, "row {wrong}: {} before row {end}", reached.latest());
            }
            assert!(reached.latest() >= ROWS - 2);
        }
    }

    /// Times beyond the limit are as if they were not there.
    #[test]
    fn nothing_is_beyond_the_limit() {
        let mut reached = Reached::new(STEP);
        reached.rows(&[DAY, DAY, DAY], DAY, 100);
        assert_eq!(reached.latest(), i64::MIN);
        reached.rows(&[7, DAY, DAY, DAY, 8], DAY, 100);
        assert_eq!(reached.latest(), 8);
    }

    proptest! {
        /// How rows are cut into chunks changes nothing behind the first three, and it never goes back.
        #[test]
        fn chunks_do_not_matter(
            start in 0i64..10,
            times in proptest::collection::vec(any::<i32>(), 0..60),
            cuts in proptest::collection::vec(1usize..7, 60),
        ) {
            let first = [start, start, start];
            let times: Vec<i64> = times.into_iter().map(i64::from).collect();
            let (mut whole, mut parts) = (Reached::new(STEP), Reached::new(STEP));
            rows(&mut whole, &first);
            rows(&mut parts, &first);
            rows(&mut whole, &times);
            let mut rest = times.as_slice();
            for cut in cuts {
                let (part, later) = rest.split_at(cut.min(rest.len()));
                let before = parts.latest();
                rows(&mut parts, part);
                prop_assert!(parts.latest() >= before);
                rest = later;
            }
            prop_assert_eq!(whole.latest(), parts.latest());
        }
    }
}
