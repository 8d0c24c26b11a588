//! ISO 8601 times: a fast path for what machines write, jiff for every other form of the standard, and printing.

use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

const DAY: i64 = 86_400_000;

/// Milliseconds since the epoch; without a zone the time is UTC.
#[inline]
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    parse_common(text).or_else(|| parse_general(text))
}

/// `YYYY-MM-DD[T ]HH:MM:SS[.fraction][Z|±HH:MM|±HHMM]`. `None` says no more than that the text is not of this form.
#[inline]
fn parse_common(text: &[u8]) -> Option<i64> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let year = Digits::new(*head.first_chunk()?, *b"0000-00-");
    let date = Digits::new(*head[2..].first_chunk()?, *b"00-00-00");
    let time = Digits::new(*head.last_chunk()?, *b"00:00:00");
    if !(year.valid() & date.valid() & time.valid() & matches!(head[10], b'T' | b' ')) {
        return None;
    }
    let (year, month, day) = (year.pair(0) * 100 + year.pair(2), date.pair(3), date.pair(6));
    let (hour, minute, second) = (time.pair(0), time.pair(3), time.pair(6));
    let in_range = (1..=12).contains(&month) && day >= 1 && hour <= 23 && minute <= 59 && second <= 59;
    if !in_range || day > days_of_month(year, month) {
        return None;
    }
    let (fraction, offset) = match *rest {
        // What most programs write.
        [] | [b'Z'] => (0, 0),
        [b'.', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'Z'] => (millis([a, b, c]), 0),
        _ => {
            let (fraction, zone) = parse_fraction(rest)?;
            (fraction, parse_zone(zone)?)
        }
    };
    let seconds = (hour * 60 + minute) * 60 + second;
    Some(days_from_civil(year as i32, month, day) * DAY + i64::from(seconds) * 1000 + fraction - offset)
}

/// Eight bytes that should be digits or, where a template has something else, just that.
#[derive(Clone, Copy)]
struct Digits {
    /// The value of each digit, 0 for each separator.
    values: u64,
    separators: u64,
}

impl Digits {
    #[inline]
    fn new(text: [u8; 8], template: [u8; 8]) -> Self {
        let separators = template.map(|byte| if byte == b'0' { 0 } else { 0xff });
        let values = u64::from_le_bytes(text) ^ u64::from_le_bytes(template);
        Self { values, separators: u64::from_le_bytes(separators) }
    }

    #[inline]
    fn valid(self) -> bool {
        // A byte above 9 reaches its highest bit by adding 0x76; what it carries into the next changes nothing any more.
        let too_large = (self.values.wrapping_add(0x7676_7676_7676_7676) | self.values) & 0x8080_8080_8080_8080;
        too_large | (self.values & self.separators) == 0
    }

    /// The value of the digits `at` and `at + 1`.
    #[inline]
    fn pair(self, at: u32) -> u32 {
        let pairs = self.values.wrapping_mul(10).wrapping_add(self.values >> 8);
        (pairs >> (8 * at)) as u32 & 0xff
    }
}

/// The milliseconds of `.123456789`, and what follows it.
#[inline]
fn parse_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(count);
    let digit = |at: usize| *digits.get(at).unwrap_or(&b'0');
    (1..=9).contains(&count).then(|| (millis([digit(0), digit(1), digit(2)]), rest))
}

#[inline]
fn millis(digits: [u8; 3]) -> i64 {
    digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
}

/// Milliseconds east of UTC.
#[inline]
fn parse_zone(text: &[u8]) -> Option<i64> {
    let (sign, h0, h1, m0, m1) = match *text {
        [] | [b'Z'] => return Some(0),
        [sign, h0, h1, b':', m0, m1] | [sign, h0, h1, m0, m1] => (sign, h0, h1, m0, m1),
        _ => return None,
    };
    let digits = Digits::new([h0, h1, m0, m1, b'0', b'0', b'0', b'0'], *b"00000000");
    let (hour, minute) = (digits.pair(0), digits.pair(2));
    let offset = i64::from(hour * 60 + minute) * 60_000;
    match sign {
        _ if !digits.valid() || hour > 23 || minute > 59 => None,
        b'+' => Some(offset),
        b'-' => Some(-offset),
        _ => None,
    }
}

#[cold]
fn parse_general(text: &[u8]) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = match (pieces.to_numeric_offset(), pieces.time_zone_annotation()) {
        (Some(offset), _) => offset,
        (None, None) => Offset::UTC,
        // A zone by name alone would need a database.
        (None, Some(_)) => return None,
    };
    let time = pieces.time().unwrap_or(Time::midnight());
    Some(civil_millis(DateTime::from_parts(pieces.date(), time), offset))
}

/// Milliseconds since the epoch of a civil time at an offset. Unlike jiff's timestamps it covers all of year 9999.
pub(super) fn civil_millis(civil: DateTime, offset: Offset) -> i64 {
    let days = days_from_civil(civil.year().into(), civil.month() as u32, civil.day() as u32);
    let minutes = i64::from(civil.hour()) * 60 + i64::from(civil.minute());
    let seconds = minutes * 60 + i64::from(civil.second()) - i64::from(offset.seconds());
    days * DAY + seconds * 1000 + i64::from(civil.subsec_nanosecond()) / 1_000_000
}

// === the proleptic Gregorian calendar; years are counted from March, so that leap days come last ===

fn days_of_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;
/// Days of 400 years.
const ERA: i64 = 146_097;

/// Days since 1970-01-01, from the year -9999 on.
fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    // 25 eras later, where nothing is below zero.
    let year = (year + 10_000 - i32::from(month <= 2)) as u32;
    let century = year / 100;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    i64::from(year * 365 + year / 4 - century + century / 4 + day_of_year) - 25 * ERA - EPOCH
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let (era, day_of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// `2013-01-01T00:00:00.000Z`. A year that does not fit four digits has a sign and at least six: `+010000-01-01T…`.
pub fn iso8601(millis: i64) -> String {
    let (days, time) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60);
    let rest = format!("{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", time % 1000);
    if (0..=9999).contains(&year) { format!("{year:04}-{rest}") } else { format!("{year:+07}-{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn jiff_millis(text: &str) -> Option<i64> {
        let floor = |time: Timestamp| time.as_nanosecond().div_euclid(1_000_000) as i64;
        let zoned = text.parse::<Timestamp>().map(floor);
        let civil = || text.parse::<DateTime>().and_then(|time| Offset::UTC.to_timestamp(time)).map(floor);
        zoned.or_else(|_| civil()).ok()
    }

    /// The forms that machines and people write all name the same instant.
    #[test]
    fn forms() {
        let common = [
            "2013-01-01T00:00:00Z",
            "2013-01-01 00:00:00",
            "2013-01-01T00:00:00.000Z",
            "2013-01-01T00:00:00.000999999Z",
            "2013-01-01T05:30:00+05:30",
            "2012-12-31T16:00:00.0-0800",
        ];
        let general =
            ["2013-01-01", "20130101T000000Z", "2013-01-01t00:00z", "2013-01-01T01+01", "2013-01-01T00:00:00,0"];
        for text in common {
            assert_eq!(parse_common(text.as_bytes()), Some(1_356_998_400_000), "{text}");
        }
        for text in general {
            assert_eq!(parse_common(text.as_bytes()), None, "{text}");
            assert_eq!(parse(text.as_bytes()), Some(1_356_998_400_000), "{text}");
        }
    }

    /// Days and times that do not exist are refused; a leap second counts as the second before, as in jiff.
    #[test]
    fn ranges() {
        for bad in [
            "2013-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2013-04-31T00:00:00Z",
            "2013-13-01T00:00:00Z",
            "2013-00-01T00:00:00Z",
            "2013-01-00T00:00:00Z",
            "2013-01-01T24:00:00Z",
            "2013-01-01T00:60:00Z",
            "2013-01-01T00:00:61Z",
            "2013-01-01T00:00:00.Z",
            "2013-01-01T00:00:00.0000000001Z",
            "2013-01-01T00:00:00Z ",
            "2013-01-01T00:00:00[America/New_York]",
            "2013-01-01T00:00:00*05:00",
            "2013_01-01T00:00:00Z",
            "2013-01_01T00:00:00Z",
            "2013-01-01_00:00:00Z",
            "2013-01-01T00.00:00Z",
            "2013-01-01T00:00.00Z",
            "2013-01-01T00:00:/0Z",
            "2013-01-01T00:00:0:Z",
            "2013-01-01T00:00:0\u{661}",
            "",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"2000-02-29T00:00:00Z"), Some(951_782_400_000));
        assert_eq!(parse(b"2016-12-31T23:59:60Z"), parse(b"2016-12-31T23:59:59Z"));
        assert_eq!(parse(b"9999-12-31T23:59:59.999Z"), Some(253_402_300_799_999));
        assert_eq!(parse(b"0000-01-01T00:00:00Z"), Some(-62_167_219_200_000));
    }

    /// Every instant of an i64 prints; years of other than four digits as in ECMAScript.
    #[test]
    fn printing() {
        assert_eq!(iso8601(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso8601(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso8601(253_402_300_800_000), "+010000-01-01T00:00:00.000Z");
        assert_eq!(iso8601(-62_167_219_200_001), "-000001-12-31T23:59:59.999Z");
        assert_eq!(iso8601(i64::MAX), "+292278994-08-17T07:12:55.807Z");
        assert_eq!(iso8601(i64::MIN), "-292275055-05-16T16:47:04.192Z");
    }

    proptest! {
        /// What is printed reads back, and jiff reads the same.
        #[test]
        fn print_then_parse(millis in -62_167_219_200_000i64..253_402_207_200_000) {
            let text = iso8601(millis);
            prop_assert_eq!(parse_common(text.as_bytes()), Some(millis));
            prop_assert_eq!(jiff_millis(&text), Some(millis));
        }

        /// Every text of the common form, of a real day or not, is read as jiff reads it.
        #[test]
        fn as_jiff_reads_it(
            (year, month, day) in (0u32..=9998, 0u32..=13, 0u32..=32),
            (hour, minute, second) in (0u32..=24, 0u32..=60, 0u32..=61),
            fraction in "(\\.[0-9]{0,10})?",
            zone in "(Z|[+-][0-2][0-9]:?[0-6][0-9]|)",
            separator in "[T ]",
        ) {
            let date = format!("{year:04}-{month:02}-{day:02}");
            let text = format!("{date}{separator}{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
            prop_assert_eq!(parse(text.as_bytes()), jiff_millis(&text), "{}", text);
        }

        /// No bytes make it panic.
        #[test]
        fn never_panics(text in any::<Vec<u8>>(), damage in 0usize..30, byte in any::<u8>()) {
            parse(&text);
            let mut text = b"2013-01-01T00:00:00.000+00:00".to_vec();
            if let Some(at) = text.get_mut(damage) {
                *at = byte;
            }
            parse(&text);
        }
    }
}
