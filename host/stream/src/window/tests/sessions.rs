//! Session windows: growing, joining, lateness as in Flink.

use super::*;

fn session(gap: i64, lateness: i64) -> Bench {
    Bench::new(WindowSpec::Session { gap: ms(gap) }, lateness)
}

/// Rows at most a gap apart join, also when the gap is met exactly; a longer silence separates; keys do not mix.
#[test]
fn rows_within_the_gap_join() {
    let mut bench = session(10, 0);
    bench.add_all(&[row(0, "a", 1), row(10, "a", 2), row(21, "a", 3), row(5, "b", 4)]);
    assert_eq!(bench.windows.open(), 3);
    assert_eq!(bench.advance(19), [fire(5, 15, "b", Pane::OnTime, &[4])]);
    assert_eq!(bench.advance(31), [fire(0, 20, "a", Pane::OnTime, &[1, 2]), fire(21, 31, "a", Pane::OnTime, &[3])]);
    assert_eq!(bench.windows.open(), 0);
}

/// A row that arrives between two sessions, in one batch or in a later one → they become one, merged in the order of time.
#[test]
fn a_bridge_joins_two_sessions() {
    for in_one_batch in [true, false] {
        let mut bench = session(10, 0);
        bench.add_all(&[row(30, "a", 1), row(0, "a", 2)]);
        if in_one_batch {
            bench.add_all(&[row(20, "a", 3), row(10, "a", 4)]);
        } else {
            bench.add_all(&[row(20, "a", 3)]);
            bench.add_all(&[row(10, "a", 4)]);
        }
        assert_eq!((bench.windows.open(), bench.logic.merged), (1, 1));
        assert_eq!(bench.advance(40), [fire(0, 40, "a", Pane::OnTime, &[1, 2, 3, 4])]);
    }
}

/// A row that is too old alone but touches a session that is kept → it belongs to that session; any other is late.
#[test]
fn lateness_is_that_of_the_merged_session() {
    let mut bench = session(10, 5);
    bench.add_all(&[row(20, "a", 1)]);
    assert_eq!(bench.advance(28), []);
    assert_eq!(bench.add(&[row(9, "a", 2), row(11, "a", 3), row(9, "a", 4), row(11, "b", 5)]).0, [2, 5]);
    assert_eq!(bench.advance(30), [fire(9, 30, "a", Pane::OnTime, &[1, 3, 4])]);
    bench.add_all(&[row(12, "a", 6)]);
    assert_eq!(bench.advance(35), [fire(9, 30, "a", Pane::Late, &[1, 3, 4, 6])]);
    assert_eq!((bench.windows.open(), bench.add(&[row(12, "a", 7)]).0), (0, vec![7]));
}

/// A session that has fired and grows beyond the watermark → it fires on time once more, at its new end.
#[test]
fn a_fired_session_may_grow_again() {
    let mut bench = session(10, 100);
    bench.add_all(&[row(0, "a", 1)]);
    assert_eq!(bench.advance(10), [fire(0, 10, "a", Pane::OnTime, &[1])]);
    bench.add_all(&[row(8, "a", 2)]);
    assert_eq!(bench.advance(17), []);
    assert_eq!(bench.advance(18), [fire(0, 18, "a", Pane::OnTime, &[1, 2])]);
}

/// A refused row between two sessions → it does not join them, does not extend one, and makes no row less late.
#[test]
fn refused_rows_hold_nothing_together() {
    let mut bench = session(10, 0);
    assert_eq!(bench.add(&[row(0, "a", 1), bad(10, "a", 2), row(20, "a", 3), bad(0, "b", 4)]), (vec![], vec![2, 4]));
    assert_eq!(bench.windows.open(), 2);
    assert_eq!(bench.advance(15), [fire(0, 10, "a", Pane::OnTime, &[1])]);
    assert_eq!(bench.add(&[bad(12, "a", 5), row(5, "a", 6)]), (vec![6], vec![5]));
    // Of two refused rows the second is not late only thanks to the first: then it is late.
    assert_eq!(bench.add(&[bad(9, "b", 7), bad(5, "b", 8)]), (vec![8], vec![7]));
    assert_eq!(bench.advance(30), [fire(20, 30, "a", Pane::OnTime, &[3])]);
}
