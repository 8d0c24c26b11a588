//! The declaration of a window: what a job file may say, and whether it makes sense.

use crate::units::Period;
use std::fmt;

/// More windows per row than this are surely a mistake: each of them fires on its own.
const MAX_WINDOWS_PER_ROW: i64 = 100_000;

/// Which windows a row belongs to. All bounds are half-open: `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSpec {
    /// Windows of one length, end to end. `start ≡ offset (mod size)`, counted from 1970-01-01T00:00:00Z.
    Tumbling {
        /// Length.
        size: Period,
        /// Shift of the grid; less than `size`.
        offset: Period,
    },
    /// Windows of one length that start every `slide`. `start ≡ offset (mod slide)`.
    Sliding {
        /// Length.
        size: Period,
        /// Distance between starts; at most `size`, which need not be a multiple of it.
        slide: Period,
        /// Shift of the grid; less than `slide`.
        offset: Period,
    },
    /// Per key: rows at most `gap` apart. A row at `t` alone makes the session `[t, t + gap)`; sessions that overlap or
    /// touch are one, as in Flink.
    Session {
        /// A longer silence than this separates two sessions.
        gap: Period,
    },
}

impl WindowSpec {
    /// Whether windows can be cut like that. The message names the setting and what it must be.
    pub fn check(&self) -> Result<(), String> {
        match *self {
            Self::Tumbling { size, offset } => {
                positive("size", size)?;
                within("offset", offset, "size", size)
            }
            Self::Sliding { size, slide, offset } => {
                positive("size", size)?;
                positive("slide", slide)?;
                if slide > size {
                    return Err(format!(
                        "slide must be at most size ({size}), or rows fall between windows; found {slide}"
                    ));
                }
                if size.millis() / slide.millis() > MAX_WINDOWS_PER_ROW {
                    return Err(format!(
                        "slide must be at least a {MAX_WINDOWS_PER_ROW}th of size ({size}), found {slide}"
                    ));
                }
                within("offset", offset, "slide", slide)
            }
            Self::Session { gap } => positive("gap", gap),
        }
    }
}

fn positive(name: &str, period: Period) -> Result<(), String> {
    if period.millis() > 0 { Ok(()) } else { Err(format!("{name} must be more than zero")) }
}

fn within(name: &str, period: Period, limit_name: &str, limit: Period) -> Result<(), String> {
    if (0..limit.millis()).contains(&period.millis()) {
        return Ok(());
    }
    Err(format!("{name} must be less than {limit_name} ({limit}), found {period}"))
}

impl fmt::Display for WindowSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = match self {
            Self::Tumbling { size, offset } => {
                write!(f, "tumbling {size}")?;
                *offset
            }
            Self::Sliding { size, slide, offset } => {
                write!(f, "sliding {size} every {slide}")?;
                *offset
            }
            Self::Session { gap } => return write!(f, "session gap {gap}"),
        };
        if offset == Period::default() { Ok(()) } else { write!(f, " offset {offset}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: i64) -> Period {
        Period::from_millis(millis)
    }

    /// Windows that cannot be cut are refused, naming the setting at fault; the others pass.
    #[test]
    fn check_names_the_bad_setting() {
        let tumbling = |size, offset| WindowSpec::Tumbling { size: ms(size), offset: ms(offset) }.check();
        let sliding =
            |size, slide, offset| WindowSpec::Sliding { size: ms(size), slide: ms(slide), offset: ms(offset) }.check();
        let session = |gap| WindowSpec::Session { gap: ms(gap) }.check();
        for good in [tumbling(1, 0), tumbling(10, 9), sliding(10, 10, 0), sliding(10, 3, 2), session(1)] {
            assert_eq!(good, Ok(()));
        }
        let cases = [
            (tumbling(0, 0), "size"),
            (tumbling(-1, 0), "size"),
            (tumbling(10, 10), "offset"),
            (tumbling(10, -1), "offset"),
            (sliding(0, 1, 0), "size"),
            (sliding(10, 0, 0), "slide"),
            (sliding(10, 11, 0), "slide must be at most size (10ms)"),
            (sliding(1_000_000_000, 1, 0), "slide must be at least"),
            (sliding(10, 3, 3), "offset must be less than slide (3ms), found 3ms"),
            (session(0), "gap"),
        ];
        for (result, expected) in cases {
            let message = result.expect_err(expected);
            assert!(message.starts_with(expected), "{message}");
        }
    }

    /// A window prints as people say it, and its offset only if it has one.
    #[test]
    fn display() {
        let size = ms(600_000);
        assert_eq!(WindowSpec::Tumbling { size, offset: ms(0) }.to_string(), "tumbling 10m");
        assert_eq!(WindowSpec::Tumbling { size, offset: ms(60_000) }.to_string(), "tumbling 10m offset 1m");
        let sliding = WindowSpec::Sliding { size, slide: ms(60_000), offset: ms(0) };
        assert_eq!(sliding.to_string(), "sliding 10m every 1m");
        assert_eq!(WindowSpec::Session { gap: ms(1_800_000) }.to_string(), "session gap 30m");
    }
}
