//! The declaration of a window.

use crate::units::Period;

/// Which windows a row belongs to. All bounds are half-open: `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSpec {
    /// Windows of one length, end to end. `start ≡ offset (mod size)`, counted from 1970-01-01T00:00:00Z.
    Tumbling {
        /// Length.
        size: Period,
        /// Shift of the grid.
        offset: Period,
    },
    /// Windows of one length that start every `slide`.
    Sliding {
        /// Length.
        size: Period,
        /// Distance between starts; at most `size`.
        slide: Period,
        /// Shift of the grid.
        offset: Period,
    },
    /// Per key: rows closer than `gap` to each other. Ends `gap` after the last one.
    Session {
        /// Shortest silence that separates two sessions.
        gap: Period,
    },
}
