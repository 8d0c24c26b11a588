//! Tumbling windows, and what all windows share: panes, lateness, order, chunks.

use super::*;

/// Rows of two windows arrive mixed → each window fires once, when the watermark reaches its end, and not before.
#[test]
fn fires_when_the_watermark_reaches_the_end() {
    let mut bench = Bench::new(tumbling(10), 0);
    bench.add_all(&[row(3, "a", 1), row(12, "a", 2), row(9, "b", 3), row(0, "a", 4)]);
    assert_eq!(bench.windows.open(), 3);
    assert_eq!(bench.advance(9), []);
    assert_eq!(bench.advance(10), [fire(0, 10, "a", Pane::OnTime, &[1, 4]), fire(0, 10, "b", Pane::OnTime, &[3])]);
    assert_eq!(bench.windows.open(), 1);
    assert_eq!(bench.advance(10), []);
    assert_eq!(bench.advance(i64::MAX), [fire(10, 20, "a", Pane::OnTime, &[2])]);
    assert_eq!((bench.windows.open(), bench.logic.merged), (0, 0));
}

/// Windows with an offset start at it, before 1970 too.
#[test]
fn offset_shifts_the_grid() {
    let mut bench = Bench::new(WindowSpec::Tumbling { size: ms(10), offset: ms(3) }, 0);
    bench.add_all(&[row(-8, "a", 1), row(-7, "a", 2), row(2, "a", 3), row(3, "a", 4)]);
    let windows: Vec<_> = bench.advance(i64::MAX).into_iter().map(|f| (f.start, f.end, f.ids)).collect();
    assert_eq!(windows, [(-17, -7, vec![1]), (-7, 3, vec![2, 3]), (3, 13, vec![4])]);
}

/// A row for a window that is gone → late, named by its number in the batch; the rows around it are counted.
#[test]
fn late_rows_are_named_and_nothing_else() {
    let mut bench = Bench::new(tumbling(10), 5);
    bench.advance(24);
    assert_eq!(bench.add(&[row(10, "a", 1), row(9, "a", 2), row(30, "b", 3), row(-1, "c", 4)]), (vec![2, 4], vec![]));
    assert_eq!(bench.logic.accumulated, (1, 2));
    bench.advance(25);
    assert_eq!(bench.add(&[row(19, "a", 5)]).0, [5]);
    assert_eq!(bench.logic.accumulated, (1, 2), "a batch of late rows needs no call");
}

/// Late rows within the allowed lateness → the window fires again at the next call, once, with all rows, only for their keys.
#[test]
fn corrections_fire_again_with_all_rows() {
    let mut bench = Bench::new(tumbling(10), 20);
    bench.add_all(&[row(1, "a", 1), row(1, "b", 2)]);
    assert_eq!(bench.advance(10).len(), 2);
    bench.add_all(&[row(2, "a", 3), row(11, "a", 4)]);
    bench.add_all(&[row(3, "a", 5), row(4, "c", 6)]);
    assert_eq!(
        bench.advance(20),
        [
            fire(0, 10, "a", Pane::Late, &[1, 3, 5]),
            fire(0, 10, "c", Pane::Late, &[6]),
            fire(10, 20, "a", Pane::OnTime, &[4]),
        ]
    );
    assert_eq!(bench.advance(29), []);
    // Kept until 30: what arrives before that call still fires in it.
    bench.add_all(&[row(9, "b", 7)]);
    assert_eq!(bench.advance(30), [fire(0, 10, "b", Pane::Late, &[2, 7])]);
    assert_eq!(bench.add(&[row(9, "b", 8)]).0, [8]);
}

/// A watermark that jumps over end and lateness at once → the window fires on time and is dropped.
#[test]
fn a_jump_fires_and_drops() {
    let mut bench = Bench::new(tumbling(10), 5);
    bench.add_all(&[row(1, "a", 1)]);
    assert_eq!(bench.advance(1000), [fire(0, 10, "a", Pane::OnTime, &[1])]);
    assert_eq!(bench.windows.open(), 0);
}

/// A watermark that goes back is ignored.
#[test]
fn the_watermark_never_goes_back() {
    let mut bench = Bench::new(tumbling(10), 0);
    bench.advance(20);
    assert_eq!(bench.advance(5), []);
    assert_eq!(bench.add(&[row(12, "a", 1)]).0, [1]);
}

/// A key all of whose rows are refused → no window opens for it, none fires, and one that has fired does not fire again.
#[test]
fn refused_rows_leave_nothing_behind() {
    let mut bench = Bench::new(tumbling(10), 10);
    bench.add_all(&[row(1, "a", 1)]);
    assert_eq!(bench.add(&[bad(1, "b", 2), row(2, "a", 3), bad(3, "a", 4)]), (vec![], vec![2, 4]));
    assert_eq!(bench.windows.open(), 1);
    assert_eq!(bench.advance(10), [fire(0, 10, "a", Pane::OnTime, &[1, 3])]);
    assert_eq!(bench.add(&[row(30, "c", 5), bad(1, "a", 6), bad(1, "b", 7)]), (vec![], vec![6, 7]));
    assert_eq!(bench.advance(11), []);
}

/// Late and refused rows in one batch → refusals carry the row numbers of the batch, not of the call.
#[test]
fn refusals_are_numbered_as_in_the_batch() {
    let mut bench = Bench::new(tumbling(10), 0);
    bench.advance(10);
    let taken = bench.take(&[row(0, "a", 1), row(10, "a", 2), bad(11, "a", 3), row(1, "a", 4), bad(12, "b", 5)]);
    assert_eq!(taken.late, [0, 3]);
    assert_eq!(taken.rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(), [2, 4]);
}

/// More keys than one call may finish → several calls and batches, in one order over all of them.
#[test]
fn finishes_in_chunks() {
    let mut bench = Bench::new(tumbling(10), 0);
    let rows: Vec<_> = (0..20_000).map(|id| row(i64::from(id % 2) * 10, &format!("key {}", id / 2), id)).collect();
    bench.add_all(&rows);
    let fires = bench.advance(i64::MAX);
    assert_eq!(bench.logic.finished, [8192, 8192, 3616]);
    assert!(fires.len() == 20_000 && fires.is_sorted());
}

/// Hostile times at both ends of the range → windows are cut off there, fire once, and nothing overflows.
#[test]
fn extreme_times() {
    for spec in [
        tumbling(10),
        tumbling(i64::MAX),
        WindowSpec::Sliding { size: ms(10), slide: ms(3), offset: ms(1) },
        WindowSpec::Session { gap: ms(i64::MAX) },
        WindowSpec::Session { gap: ms(7) },
    ] {
        for lateness in [0, 1000, i64::MAX] {
            let mut bench = Bench::new(spec, lateness);
            bench.add_all(&[row(i64::MIN, "a", 1), row(i64::MAX, "b", 2), row(i64::MAX - 1, "c", 3), row(0, "d", 4)]);
            let mut fires = bench.advance(i64::MIN);
            assert_eq!(fires, []);
            fires.extend(bench.advance(i64::MAX - 1));
            fires.extend(bench.advance(i64::MAX));
            let mut keys: Vec<_> = fires.iter().map(|f| f.key.as_str()).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys, ["a", "b", "c", "d"], "{spec}");
            assert!(fires.iter().all(|f| f.start < f.end || f.end == i64::MAX), "{fires:?}");
            assert_eq!(bench.windows.open(), 0, "{spec}");
            assert_eq!(bench.add(&[row(i64::MAX, "a", 5)]).0, [5], "all input has ended");
        }
    }
}

/// Rows of two keys in several windows, some of which have fired → those that have yet to fire, the earliest first, of one key or
/// of any; none of a key that has none.
#[test]
fn pending_windows() {
    let mut bench = Bench::new(tumbling(10), 100);
    bench.add_all(&[row(3, "a", 1), row(12, "b", 2), row(25, "a", 3), row(41, "a", 4)]);
    bench.advance(10);
    let pending = |bench: &Bench, key: Option<&str>, limit| bench.windows.pending(key.map(str::as_bytes), limit);
    assert_eq!(pending(&bench, None, 9), [(10, 20), (20, 30), (40, 50)]);
    assert_eq!(pending(&bench, None, 2), [(10, 20), (20, 30)]);
    assert_eq!(pending(&bench, Some("a"), 9), [(20, 30), (40, 50)]);
    assert_eq!(pending(&bench, Some("c"), 9), []);

    let sliding = WindowSpec::Sliding { size: ms(30), slide: ms(10), offset: ms(0) };
    let mut bench = Bench::new(sliding, 0);
    bench.add_all(&[row(25, "a", 1), row(65, "b", 2)]);
    bench.advance(35);
    assert_eq!(pending(&bench, Some("a"), 9), [(10, 40), (20, 50)]);
    assert_eq!(pending(&bench, None, 3), [(10, 40), (20, 50), (40, 70)]);

    let mut bench = Bench::new(WindowSpec::Session { gap: ms(10) }, 100);
    bench.add_all(&[row(0, "a", 1), row(30, "a", 2), row(25, "b", 3), row(60, "a", 4)]);
    bench.advance(10);
    assert_eq!(pending(&bench, None, 2), [(25, 35), (30, 40)]);
    assert_eq!(pending(&bench, Some("a"), 9), [(30, 40), (60, 70)]);
}
