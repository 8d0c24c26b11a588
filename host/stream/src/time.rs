//! Event times: milliseconds since 1970-01-01T00:00:00Z, read from text or numbers. Sub-millisecond digits are cut off,
//! so that a time belongs to the millisecond in which it happened, before 1970 as well. Knows no clock and no time zone
//! database: what names a zone instead of an offset is refused.

mod iso;

pub use iso::iso8601;

use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How a time is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum TimeFormat {
    /// `iso8601`: `2013-01-01T00:00:00.000Z`, also with a space, an offset, no fraction or no zone (then UTC).
    /// A JSON number is read as milliseconds since the epoch.
    #[default]
    Iso8601,
    /// `unix-ms`: milliseconds since the epoch, as a number or as digits.
    UnixMillis,
    /// `unix-s`: seconds since the epoch, fractions allowed.
    UnixSeconds,
    /// A pattern as in strptime, such as `%m/%d/%Y %H:%M`. Without a zone it means UTC.
    Pattern(Arc<str>),
}

impl TimeFormat {
    /// Milliseconds since the epoch, from text.
    #[inline]
    pub fn parse(&self, text: &[u8]) -> Option<i64> {
        match self {
            Self::Iso8601 => iso::parse(text),
            Self::UnixMillis => scaled(text, 0),
            Self::UnixSeconds => scaled(text, 3),
            Self::Pattern(pattern) => parse_pattern(pattern, text),
        }
    }

    /// Milliseconds since the epoch, from the text of a JSON number.
    pub fn parse_number(&self, number: &[u8]) -> Option<i64> {
        match self {
            Self::Iso8601 | Self::UnixMillis => scaled(number, 0),
            Self::UnixSeconds => scaled(number, 3),
            // `%Y%m%d` is often written as a number.
            Self::Pattern(pattern) => parse_pattern(pattern, number),
        }
    }
}

impl FromStr for TimeFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "iso8601" => Ok(Self::Iso8601),
            "unix-ms" => Ok(Self::UnixMillis),
            "unix-s" => Ok(Self::UnixSeconds),
            pattern if pattern.contains('%') => {
                check_pattern(pattern)?;
                Ok(Self::Pattern(pattern.into()))
            }
            other => Err(format!(
                "expected a time format: `iso8601`, `unix-ms`, `unix-s` or a pattern like `%m/%d/%Y %H:%M`, found `{other}`"
            )),
        }
    }
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iso8601 => "iso8601",
            Self::UnixMillis => "unix-ms",
            Self::UnixSeconds => "unix-s",
            Self::Pattern(pattern) => pattern,
        })
    }
}

// === patterns ===

fn parse_pattern(pattern: &str, text: &[u8]) -> Option<i64> {
    millis(&strtime::parse(pattern, text).ok()?).ok()
}

fn millis(parsed: &BrokenDownTime) -> Result<i64, jiff::Error> {
    if let Some(timestamp) = parsed.timestamp() {
        return Ok(timestamp.as_millisecond());
    }
    Ok(iso::civil_millis(parsed.to_datetime()?, parsed.offset().unwrap_or(Offset::UTC)))
}

/// Prints a sample by the pattern and reads it back, so that a pattern that can never give a time is found when it is
/// declared and not at the first record.
fn check_pattern(pattern: &str) -> Result<(), String> {
    let bad = |error: jiff::Error| format!("time pattern `{pattern}` cannot be used: {error}");
    let sample = DateTime::constant(2013, 11, 26, 17, 45, 33, 500_000_000).to_zoned(TimeZone::UTC).map_err(bad)?;
    let printed = strtime::format(pattern, &sample).map_err(bad)?;
    let parsed = strtime::parse(pattern, printed).map_err(bad)?;
    if parsed.iana_time_zone().is_some() {
        return Err(format!(
            "time pattern `{pattern}` names a time zone: use an offset (`%z`) or none, which means UTC"
        ));
    }
    if parsed.timestamp().is_some() && parsed.subsec_nanosecond().is_some() {
        return Err(format!("time pattern `{pattern}` has a fraction behind `%s`: write `unix-s` for such seconds"));
    }
    millis(&parsed).map_err(bad)?;
    Ok(())
}

// === decimal numbers ===

/// `number * 10^power`, rounded down; exact unless the number has an exponent.
fn scaled(number: &[u8], power: usize) -> Option<i64> {
    if memchr::memchr2(b'e', b'E', number).is_some() {
        return scaled_float(number, power);
    }
    let (negative, digits) = match number.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    let (whole, fraction) = match memchr::memchr(b'.', digits) {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &b"0"[..]),
    };
    if whole.is_empty() || fraction.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    // Built up below zero if negative: the least i64 has no positive counterpart.
    let mut value = 0i64;
    let zeros = std::iter::repeat(&b'0');
    for digit in whole.iter().chain(fraction.iter().chain(zeros).take(power)) {
        let digit = i64::from(digit - b'0');
        value = value.checked_mul(10)?.checked_add(if negative { -digit } else { digit })?;
    }
    let cut = fraction.iter().skip(power).any(|&digit| digit != b'0');
    if negative && cut { value.checked_sub(1) } else { Some(value) }
}

fn scaled_float(number: &[u8], power: usize) -> Option<i64> {
    let value: f64 = fast_float2::parse(number).ok()?;
    let value = (value * 10f64.powi(power as i32)).floor();
    // -2^63 is an f64, 2^63 is the first one too large.
    (-(2f64.powi(63))..2f64.powi(63)).contains(&value).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    /// Every format prints as it is declared; what is neither a name nor a pattern is told what there is.
    #[test]
    fn formats_round_trip() {
        for text in ["iso8601", "unix-ms", "unix-s", "%m/%d/%Y %H:%M", "%Y%m%d", "%s", "%d/%b/%Y:%H:%M:%S %z"] {
            assert_eq!(text.parse::<TimeFormat>().map(|format| format.to_string()), Ok(text.to_owned()));
        }
        let error = "unix".parse::<TimeFormat>().expect_err("not a format");
        assert!(error.contains("`unix-s`") && error.contains("found `unix`"), "{error}");
    }

    /// A pattern that no text could satisfy is refused when it is declared.
    #[test]
    fn patterns_are_checked() {
        for bad in ["%H:%M", "%Y-%m", "%Y-%m-%d %!", "100%", "%Y-%m-%d %H:%M %Q", "%s%.f", "%s.%f"] {
            let error = bad.parse::<TimeFormat>().expect_err(bad);
            assert!(error.contains(bad), "{error}");
        }
    }

    /// Patterns read dates without a time as midnight, times without a zone as UTC, and obey an offset.
    #[test]
    fn patterns() {
        let parse = |format: &str, text: &str| format.parse::<TimeFormat>().expect(format).parse(text.as_bytes());
        assert_eq!(parse("%m/%d/%Y %H:%M", "01/31/2013 23:59"), Some(1_359_676_740_000));
        assert_eq!(parse("%m/%d/%Y %H:%M", "01/32/2013 23:59"), None);
        assert_eq!(parse("%m/%d/%Y %H:%M", "01/31/2013 23:59 "), None);
        assert_eq!(parse("%Y%m%d", "19700102"), Some(86_400_000));
        assert_eq!(parse("%Y-%m-%d %H:%M:%S%.f", "1970-01-01 00:00:01.2345"), Some(1_234));
        assert_eq!(parse("%Y-%m-%d %H:%M:%S%.f", "1969-12-31 23:59:59.9999"), Some(-1));
        assert_eq!(parse("%d/%b/%Y:%H:%M:%S %z", "01/Jan/1970:01:00:00 +0100"), Some(0));
        assert_eq!(parse("%s", "-1"), Some(-1_000));
    }

    /// Unix times are exact to the millisecond, rounded down, and refused outside the range of an i64.
    #[test]
    fn unix_times() {
        let (seconds, millis) = (TimeFormat::UnixSeconds, TimeFormat::UnixMillis);
        assert_eq!(seconds.parse(b"1356998400"), Some(1_356_998_400_000));
        assert_eq!(seconds.parse_number(b"1356998400.1239"), Some(1_356_998_400_123));
        assert_eq!(seconds.parse_number(b"1.3569984e9"), Some(1_356_998_400_000));
        assert_eq!(seconds.parse_number(b"-0.0001"), Some(-1));
        assert_eq!(seconds.parse_number(b"-0.001"), Some(-1));
        assert_eq!(millis.parse_number(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(millis.parse_number(b"9223372036854775808"), None);
        assert_eq!(millis.parse_number(b"-9223372036854775808.5"), None);
        assert_eq!(millis.parse_number(b"1e19"), None);
        assert_eq!(millis.parse_number(b"-1e300"), None);
        for bad in ["", "-", ".5", "5.", "1 ", "+1", "0x1", "--1", "1e", "nan", "inf", "e5"] {
            assert_eq!(millis.parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(TimeFormat::Iso8601.parse_number(b"1356998400000"), Some(1_356_998_400_000));
        assert_eq!("%Y%m%d".parse::<TimeFormat>().map(|f| f.parse_number(b"19700102")), Ok(Some(86_400_000)));
    }

    proptest! {
        /// Seconds printed with three decimals are read back to the millisecond.
        #[test]
        fn seconds_are_exact(millis in any::<i64>()) {
            let sign = if millis < 0 { "-" } else { "" };
            let size = millis.unsigned_abs();
            let text = format!("{sign}{}.{:03}", size / 1000, size % 1000);
            prop_assert_eq!(TimeFormat::UnixSeconds.parse(text.as_bytes()), Some(millis));
        }
    }
}
