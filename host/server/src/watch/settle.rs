//! When something that changes is worth a judgement: once it has stayed the same for a while, and is not what was judged
//! last. Pure: it is told what was seen and what time it is.

use std::time::{Duration, Instant};

/// Something whole is left alone for so long: whoever writes it may not be done.
pub const QUIET: Duration = Duration::from_millis(100);
/// The same for something that is obviously not done, such as half a file.
pub const QUIET_UNFINISHED: Duration = Duration::from_secs(1);

/// What a look at something has found. Equal sights are the same content.
pub trait Sight: PartialEq {
    /// Whether this looks like the end of a change, and not like its middle.
    fn is_finished(&self) -> bool;
}

/// The way of one thing from change to change.
pub struct Settle<S> {
    judged: Option<S>,
    /// What was seen last, if it is not that, and since when.
    changing: Option<(S, Instant)>,
}

/// What a look means.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing is new.
    Rest,
    /// Something is; another look at this time will tell more.
    Again(Instant),
    /// It has settled: it is to be judged now, and counts as judged.
    Judge,
}

impl<S: Sight> Settle<S> {
    /// Begins with what was judged before, if anything was.
    pub fn new(judged: Option<S>) -> Self {
        Self { judged, changing: None }
    }

    /// Takes in what a look has found.
    pub fn look(&mut self, sight: S, now: Instant) -> Next {
        if self.judged.as_ref() == Some(&sight) {
            self.changing = None;
            return Next::Rest;
        }
        let quiet = if sight.is_finished() { QUIET } else { QUIET_UNFINISHED };
        let since = match &self.changing {
            Some((seen, since)) if *seen == sight => *since,
            _ => now,
        };
        if since + quiet <= now {
            self.changing = None;
            self.judged = Some(sight);
            return Next::Judge;
        }
        self.changing = Some((sight, since));
        Next::Again(since + quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Seen {
        Whole(u8),
        Half(u8),
    }
    use Seen::{Half, Whole};

    impl Sight for Seen {
        fn is_finished(&self) -> bool {
            matches!(self, Whole(_))
        }
    }

    /// What a look so many milliseconds after the start means; `Again` as milliseconds from the start.
    fn run(looks: &[(u64, Seen)]) -> Vec<String> {
        let start = Instant::now();
        let mut settle = Settle::new(Some(Whole(0)));
        let mut says = |at: u64, seen| match settle.look(seen, start + Duration::from_millis(at)) {
            Next::Again(then) => (then - start).as_millis().to_string(),
            other => format!("{other:?}"),
        };
        looks.iter().map(|&(at, seen)| says(at, seen)).collect()
    }

    /// Something new that stays → judged once its quiet time is over, and only once.
    #[test]
    fn new_content_is_judged_once() {
        assert_eq!(
            run(&[(0, Whole(0)), (5, Whole(1)), (60, Whole(1)), (105, Whole(1)), (106, Whole(1))]),
            ["Rest", "105", "105", "Judge", "Rest"]
        );
    }

    /// A file that grows → its quiet time begins anew with each change, and half a file needs a longer one.
    #[test]
    fn whatever_changes_is_left_alone() {
        assert_eq!(
            run(&[(0, Half(1)), (500, Half(2)), (1_499, Half(2)), (1_499, Whole(3)), (1_599, Whole(3))]),
            ["1000", "1500", "1500", "1599", "Judge"]
        );
        assert_eq!(run(&[(0, Half(1)), (1_000, Half(1)), (1_100, Half(1))]), ["1000", "Judge", "Rest"]);
    }

    /// A change that is taken back in time → nothing; the same change later → its quiet time begins anew.
    #[test]
    fn changes_taken_back_are_none() {
        assert_eq!(
            run(&[(0, Whole(1)), (50, Whole(0)), (100, Whole(1)), (150, Whole(1)), (200, Whole(1))]),
            ["100", "Rest", "200", "200", "Judge"]
        );
    }

    /// Nothing was judged before → the first thing seen is judged, too.
    #[test]
    fn the_first_sight_counts() {
        let (now, mut settle) = (Instant::now(), Settle::new(None));
        assert_eq!(settle.look(Whole(0), now), Next::Again(now + QUIET));
        assert_eq!(settle.look(Whole(0), now + QUIET), Next::Judge);
    }
}
