//! Logic that fails to merge some accumulators: what they are part of has no result, everything else has its own.

use super::ids::parse;
use super::*;
use crate::plugin::{Accumulated, Aggregate, Finished, Fired, Merged, Reject};
use crate::{Cause, GuestFault, Result};

/// Fails to merge whatever has row 13 in it.
#[derive(Default)]
struct Unlucky(Ids);

impl Aggregate for Unlucky {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        self.0.accumulate(accumulators, groups, batch)
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        let Merged { accumulators: merged, .. } = self.0.merge(accumulators, groups, count)?;
        let is_bad = |group: &u32| {
            let members = groups.iter().zip(accumulators.iter()).filter(|(of, _)| *of == group);
            let members: Vec<_> = members.map(|(_, ids)| parse(ids)).collect();
            members.len() > 1 && members.concat().contains(&13)
        };
        let bad: Vec<u32> = (0..count).filter(is_bad).collect();
        let kept = |group: u32| if bad.contains(&group) { &[][..] } else { merged.get(group as usize) };
        let rejects = bad.iter().map(|&group| Reject { cause: TRAP, ..Reject::new(group, "thirteen") }).collect();
        Ok(Merged { accumulators: (0..count).map(kept).collect(), rejects })
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        self.0.finish(fired)
    }
}

const TRAP: Cause = Cause::Guest(GuestFault::Trap);

/// Two slices that cannot be merged → the one window that has both is refused, with both accumulators; other windows of the
/// key, and the same window of another key, have their results.
#[test]
fn slices_that_cannot_be_merged() {
    let spec = WindowSpec::Sliding { size: ms(10), slide: ms(5), offset: ms(0) };
    let mut bench = Bench { windows: Windows::new(spec, ms(0)), logic: Unlucky::default() };
    bench.add_all(&[row(1, "a", 13), row(6, "a", 2), row(11, "a", 3), row(1, "b", 4), row(6, "b", 5)]);
    let (fires, refused, fired) = bench.close(100);
    let on_time = |start, key, ids: &[u32]| fire(start, start + 10, key, Pane::OnTime, ids);
    let expected = [
        on_time(-5, "a", &[13]),
        on_time(-5, "b", &[4]),
        on_time(0, "b", &[4, 5]),
        on_time(5, "a", &[2, 3]),
        on_time(5, "b", &[5]),
        on_time(10, "a", &[3]),
    ];
    assert_eq!((fires.as_slice(), fired), (&expected[..], 7));
    let window = RefusedWindow {
        window: Firing { start: 0, end: 10, pane: Pane::OnTime },
        key: b"a".to_vec(),
        accumulators: [13u32, 2].map(|id| id.to_le_bytes().to_vec()).into(),
        cause: TRAP,
        reason: "thirteen".to_owned(),
        by: None,
    };
    assert_eq!(refused, [window]);
    assert_eq!(bench.windows.open(), 0);
}

/// A row between two sessions that cannot be merged → the row is refused and the sessions stay apart, with all their rows;
/// the sessions of another key, and another session of that key, take theirs from the same batch.
#[test]
fn sessions_that_cannot_be_merged() {
    let spec = WindowSpec::Session { gap: ms(10) };
    let mut bench = Bench { windows: Windows::new(spec, ms(0)), logic: Unlucky::default() };
    bench.add_all(&[row(0, "a", 13), row(15, "a", 2), row(0, "b", 3), row(15, "b", 4)]);
    let taken = bench.take(&[row(40, "a", 7), row(8, "b", 6), row(8, "a", 5)]);
    let rejects: Vec<_> = taken.rejects.iter().map(|reject| (reject.row, reject.cause)).collect();
    assert_eq!((taken.late.as_slice(), rejects.as_slice()), (&[][..], &[(2, TRAP)][..]));
    let (fires, refused, _) = bench.close(1_000);
    let on_time = |start, end, key, ids: &[u32]| fire(start, end, key, Pane::OnTime, ids);
    let expected = [
        on_time(0, 10, "a", &[13]),
        on_time(0, 25, "b", &[3, 4, 6]),
        on_time(15, 25, "a", &[2]),
        on_time(40, 50, "a", &[7]),
    ];
    assert_eq!((fires.as_slice(), refused.as_slice()), (&expected[..], &[][..]));
}
