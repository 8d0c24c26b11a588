//! Where tumbling and sliding windows lie: which of them a time belongs to, and the slices that they share. A tumbling
//! window is a sliding one whose slide is its size. Pure arithmetic, safe for every `i64` time: windows that reach
//! beyond the range of times are cut off there.
//!
//! A slice is a stretch of time in which no window starts or ends. Windows start at every multiple `k` of the slide and end
//! at `k · slide + size`, so a slide is cut in at most two slices: a head of `size mod slide` and a tail, the rest of it.
//! That is never more slices than cutting by the greatest common divisor gives, and far fewer when that is small.

/// Regular windows. They are numbered: window `k` starts at `offset + k · slide`. Numbers have 128 bits because windows of
/// one millisecond that lie before the first possible time have numbers too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    size: i64,
    slide: i64,
    offset: i64,
}

/// A slice of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    /// Its first millisecond.
    pub(super) first: i64,
    /// Its last millisecond.
    pub(super) last: i64,
    /// The number of the first window that it belongs to.
    pub(super) oldest: i128,
    /// The number of the last window that it belongs to.
    pub(super) newest: i128,
}

impl Slice {
    /// Whether a time lies in it.
    #[inline]
    pub(super) fn contains(&self, time: i64) -> bool {
        self.first <= time && time <= self.last
    }
}

impl Grid {
    /// Windows of `size` at every `slide`. Values that a check would have refused are brought into range.
    pub(super) fn new(size: i64, slide: i64, offset: i64) -> Self {
        let size = size.max(1);
        let slide = slide.clamp(1, size);
        Self { size, slide, offset: offset.rem_euclid(slide) }
    }

    /// The slice that a time lies in.
    pub(super) fn slice(&self, time: i64) -> Slice {
        let (size, slide, time) = (i128::from(self.size), i128::from(self.slide), i128::from(time));
        let from_offset = time - i128::from(self.offset);
        let (newest, phase) = (from_offset.div_euclid(slide), from_offset.rem_euclid(slide));
        let (reach, head) = (size / slide, size % slide);
        let start = time - phase;
        if phase < head {
            let (first, last) = (clamp(start), clamp(start + head - 1));
            Slice { first, last, oldest: newest - reach, newest }
        } else {
            let (first, last) = (clamp(start + head), clamp(start + slide - 1));
            Slice { first, last, oldest: newest - reach + 1, newest }
        }
    }

    /// Start and end of a window.
    pub(super) fn bounds(&self, window: i128) -> (i64, i64) {
        let start = i128::from(self.offset) + window * i128::from(self.slide);
        (clamp(start), clamp(start + i128::from(self.size)))
    }

    /// The first window that ends after a time.
    pub(super) fn first_ending_after(&self, time: i64) -> i128 {
        let origin_end = i128::from(self.offset) + i128::from(self.size);
        (i128::from(time) - origin_end).div_euclid(i128::from(self.slide)) + 1
    }
}

fn clamp(time: i128) -> i64 {
    time.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The windows of a time's slice are those that contain it, found by trying all, and no window contains only a
        /// part of the slice.
        #[test]
        fn slices_cut_at_every_bound(size in 1i64..40, slide in 1i64..40, offset in 0i64..40, time in -100i64..100) {
            let grid = Grid::new(size, slide, offset);
            let slice = grid.slice(time);
            prop_assert!(slice.contains(time));
            let containing = |time: i64| (-300i128..300).filter(|&k| {
                let (start, end) = grid.bounds(k);
                start <= time && time < end
            }).collect::<Vec<_>>();
            let expected: Vec<_> = (slice.oldest..=slice.newest).collect();
            for inside in slice.first..=slice.last {
                prop_assert_eq!(&containing(inside), &expected);
            }
            prop_assert_ne!(containing(slice.first - 1), expected.clone());
            prop_assert_ne!(containing(slice.last + 1), expected);
        }

        /// The first window that ends after a time does, and the one before it does not.
        #[test]
        fn first_ending_after(size in 1i64..40, slide in 1i64..40, offset in 0i64..40, time in -100i64..100) {
            let grid = Grid::new(size, slide, offset);
            let window = grid.first_ending_after(time);
            prop_assert!(grid.bounds(window).1 > time);
            prop_assert!(grid.bounds(window - 1).1 <= time);
        }
    }

    /// At both ends of time, slices contain their times and windows are cut off instead of wrapping around.
    #[test]
    fn extremes_do_not_overflow() {
        for (size, slide, offset) in
            [(1, 1, 0), (10, 10, 3), (10, 3, 2), (i64::MAX, i64::MAX, 5), (i64::MAX, 1 << 50, 0)]
        {
            let grid = Grid::new(size, slide, offset);
            for time in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
                let slice = grid.slice(time);
                assert!(slice.contains(time), "{grid:?} {time}");
                for window in [slice.oldest, slice.newest] {
                    let (start, end) = grid.bounds(window);
                    assert!(start <= time && (time < end || end == i64::MAX), "{grid:?} {time} {start}..{end}");
                }
            }
        }
        assert_eq!(Grid::new(10, 10, 0).bounds(Grid::new(10, 10, 0).slice(i64::MAX).newest), (i64::MAX - 7, i64::MAX));
    }
}
