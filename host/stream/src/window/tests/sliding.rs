//! Sliding windows: overlap, slides that do not divide the size, and rows that only some of their windows still take.

use super::*;

fn sliding(size: i64, slide: i64) -> WindowSpec {
    WindowSpec::Sliding { size: ms(size), slide: ms(slide), offset: ms(0) }
}

/// A row belongs to size / slide windows → it fires in each of them, and its state is held once.
#[test]
fn a_row_fires_in_every_window() {
    let mut bench = Bench::new(sliding(30, 10), 0);
    bench.add_all(&[row(25, "a", 1), row(31, "a", 2)]);
    assert_eq!(bench.windows.open(), 2);
    assert_eq!(bench.advance(30), [fire(0, 30, "a", Pane::OnTime, &[1])]);
    assert_eq!(bench.advance(50), [fire(10, 40, "a", Pane::OnTime, &[1, 2]), fire(20, 50, "a", Pane::OnTime, &[1, 2])]);
    assert_eq!(bench.advance(60), [fire(30, 60, "a", Pane::OnTime, &[2])]);
    assert_eq!(bench.windows.open(), 0);
}

/// A slide that does not divide the size → windows still hold exactly the rows between their bounds.
#[test]
fn slides_that_do_not_divide_the_size() {
    let mut bench = Bench::new(sliding(10, 7), 0);
    bench.add_all(&(0..20).map(|at| row(i64::from(at), "a", at)).collect::<Vec<_>>());
    let windows: Vec<_> = bench.advance(i64::MAX).into_iter().map(|f| (f.start, f.ids[0], f.ids.len())).collect();
    assert_eq!(windows, [(-7, 0, 3), (0, 0, 10), (7, 7, 10), (14, 14, 6)]);
}

/// A row whose oldest window is gone → not late, counts for the windows that are still there, and never for the gone one.
#[test]
fn a_row_may_be_too_late_for_some_windows() {
    let mut bench = Bench::new(sliding(20, 10), 0);
    bench.add_all(&[row(12, "a", 1)]);
    assert_eq!(bench.advance(20), [fire(0, 20, "a", Pane::OnTime, &[1])]);
    bench.add_all(&[row(11, "a", 2), row(13, "b", 3)]);
    assert_eq!(bench.add(&[row(9, "a", 4)]).0, [4]);
    assert_eq!(bench.advance(30), [fire(10, 30, "a", Pane::OnTime, &[1, 2]), fire(10, 30, "b", Pane::OnTime, &[3])]);
}

/// A late row → every window that has fired, is kept and contains it fires again with all its rows; the others do not.
#[test]
fn corrections_reach_every_fired_window() {
    let mut bench = Bench::new(sliding(30, 10), 15);
    bench.add_all(&[row(5, "a", 1), row(25, "a", 2), row(25, "b", 3), row(45, "a", 4)]);
    assert_eq!(bench.advance(45).len(), 6);
    // Of the windows that contain 15, [-10, 20) is gone at 35 and [0, 30) at 45; [10, 40) is kept.
    bench.add_all(&[row(15, "a", 5)]);
    assert_eq!(bench.advance(46), [fire(10, 40, "a", Pane::Late, &[2, 5])]);
    assert_eq!(bench.advance(50), [fire(20, 50, "a", Pane::OnTime, &[2, 4]), fire(20, 50, "b", Pane::OnTime, &[3])]);
}

/// Years without rows between two windows of one second → skipped, not walked through.
#[test]
fn long_silences_are_skipped() {
    let mut bench = Bench::new(sliding(10, 1), 0);
    bench.add_all(&[row(0, "a", 1), row(1 << 60, "a", 2)]);
    assert_eq!(bench.advance(1 << 59).len(), 10);
    assert_eq!(bench.advance(i64::MAX).len(), 10);
}
