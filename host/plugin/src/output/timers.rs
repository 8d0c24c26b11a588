//! The timers of a process: sorted, still to come, and not too many.

use super::column::{check_length, check_times};
use crate::bindings::exports::wasmill::plugin::processing::TimersResult;
use crate::failure::Failure;
use crate::limits::MAX_TIMERS;
use wasmill_stream::plugin::Timers;

/// The pending timers of `keys` keys.
pub(super) fn check(wire: TimersResult, keys: usize, watermark: i64) -> Result<Timers, Failure> {
    let TimersResult { groups, times } = wire;
    check_length("timers.times", times.len(), groups.len())?;
    let mut before = None;
    let mut of_key = 0;
    for (&group, &time) in groups.iter().zip(&times) {
        if group as usize >= keys {
            return Err(Failure::contract(format!("`timers` names key {group}, but there are {keys}, counted from 0")));
        }
        if time <= watermark {
            return Err(Failure::contract(format!(
                "`timers` holds {time} for key {group}, expected a time later than the watermark {watermark}"
            )));
        }
        if before >= Some((group, time)) {
            return Err(Failure::contract(format!(
                "`timers` must be sorted by key, then by time, without equal ones, but {time} of key {group} comes late"
            )));
        }
        of_key = if before.is_some_and(|(other, _)| other == group) { of_key + 1 } else { 1 };
        if of_key > MAX_TIMERS {
            return Err(Failure::output(format!(
                "returned more than {MAX_TIMERS} timers for key {group}, the limit for a key"
            )));
        }
        before = Some((group, time));
    }
    check_times(&times).map_err(|failure| Failure { words: format!("{}, in `timers`", failure.words), ..failure })?;
    Ok(Timers { groups, times })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_stream::GuestFault;

    fn timers(timers: &[(u32, i64)]) -> Result<Timers, Failure> {
        let (groups, times) = timers.iter().copied().unzip();
        check(TimersResult { groups, times }, 2, 10)
    }

    /// Timers sorted by key and time, all later than the watermark, come out as they are.
    #[test]
    fn good_timers() {
        let good = [(0, 11), (0, 12), (1, 11)];
        assert_eq!(timers(&good).expect("sorted").iter().collect::<Vec<_>>(), good);
        assert!(timers(&[]).expect("none").is_empty());
    }

    /// Timers that are out of order, doubled, due, of no key or beyond the calendar break the contract.
    #[test]
    fn broken_timers() {
        for (broken, expected) in [
            (&[(2, 11)][..], "names key 2, but there are 2"),
            (&[(0, 10)], "holds 10 for key 0, expected a time later than the watermark 10"),
            (&[(1, 11), (0, 11)], "11 of key 0 comes late"),
            (&[(0, 12), (0, 11)], "11 of key 0 comes late"),
            (&[(0, 11), (0, 11)], "11 of key 0 comes late"),
            (&[(0, i64::MAX)], "`times` holds 9223372036854775807 at row 0"),
        ] {
            let failure = timers(broken).expect_err(expected);
            assert_eq!(failure.fault, GuestFault::Contract);
            assert!(failure.words.contains(expected), "{} should say {expected}", failure.words);
        }
        let columns = TimersResult { groups: vec![0], times: vec![11, 12] };
        assert!(check(columns, 1, 0).expect_err("two times").words.contains("`timers.times` has 2 entries"));
    }

    /// A key may have 1,024 timers and not one more, however many other keys have.
    #[test]
    fn many_timers() {
        let all: Vec<_> = (0..2).flat_map(|key| (11..11 + 1_024).map(move |time| (key, time))).collect();
        assert_eq!(timers(&all).expect("as many as are possible").len(), 2_048);
        let many: Vec<_> = (11..12 + 1_024).map(|time| (1, time)).collect();
        let failure = timers(&many).expect_err("one too many");
        assert_eq!(failure.fault, GuestFault::Output);
        assert!(failure.words.contains("more than 1024 timers for key 1"), "{}", failure.words);
    }
}
