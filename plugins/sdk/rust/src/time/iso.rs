//! The text form of times: the civil calendar, forward and back.

use super::Time;

const DAY: i64 = 86_400_000;

/// A time as text, such as `2013-01-01T00:10:00.000Z`, without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iso8601 {
    text: [u8; 32],
    start: usize,
}

impl Iso8601 {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[self.start..]).expect("digits and separators are ASCII")
    }
}

/// A year that does not fit four digits has a sign and at least six, as the host writes it.
pub fn format(time: Time) -> Iso8601 {
    let days = time.0.div_euclid(DAY);
    let (year, month, day) = date(days);
    // Divisions of 64 bits are slow in WebAssembly: there is one per time, and one in `date`.
    let clock = time.0.wrapping_sub(days.wrapping_mul(DAY)) as u32;
    let mut text = *b"000000000000-00-00T00:00:00.000Z";
    put(&mut text, 13, month);
    put(&mut text, 16, day);
    put(&mut text, 19, clock / 3_600_000);
    put(&mut text, 22, clock / 60_000 % 60);
    put(&mut text, 25, clock / 1000 % 60);
    put(&mut text, 28, clock % 1000 / 10);
    text[30] = b'0' + (clock % 10) as u8;
    let start = put_year(&mut text, year);
    Iso8601 { text, start }
}

#[inline]
fn put(text: &mut [u8; 32], place: usize, pair: u32) {
    text[place] = b'0' + (pair / 10) as u8;
    text[place + 1] = b'0' + (pair % 10) as u8;
}

/// Puts the year before place 12 and says where it starts.
#[inline]
fn put_year(text: &mut [u8; 32], year: i64) -> usize {
    let mut rest = year.unsigned_abs() as u32;
    if (0..=9999).contains(&year) {
        put(text, 8, rest / 100);
        put(text, 10, rest % 100);
        return 8;
    }
    let mut start = 12;
    while rest > 0 || start > 6 {
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text[start - 1] = if year < 0 { b'-' } else { b'+' };
    start - 1
}

/// Year, month and day of a day number since 1970-01-01, by Hinnant's algorithm over 400-year eras that start in March.
fn date(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = (shifted - era * 146_097) as u32;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = i64::from(year_of_era) + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse of [`date`]. `None` if there is no such day.
fn day_number(year: i64, month: i64, day: i64) -> Option<i64> {
    let march_year = year - i64::from(month <= 2);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let year_of_era = march_year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = march_year.div_euclid(400) * 146_097 + day_of_era - 719_468;
    (date(days) == (year, month as u32, day as u32)).then_some(days)
}

/// Reads `2013-01-01T00:10:00.000Z`, also with a space for the `T`, an offset, no fraction, or no zone, which means UTC.
pub fn parse(text: &str) -> Option<Time> {
    let (date, rest) = text.split_at_checked(10)?;
    let days = day_number(number(date, 0, 4)?, number(date, 5, 2)?, number(date, 8, 2)?)?;
    let (separator, rest) = rest.split_at_checked(1)?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let (hour, minute, second) = (number(clock, 0, 2)?, number(clock, 3, 2)?, number(clock, 6, 2)?);
    let marks = [&date[4..5], &date[7..8], &clock[2..3], &clock[5..6]];
    if marks != ["-", "-", ":", ":"] || !matches!(separator, "T" | " ") || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())),
        None => ("0", rest),
    };
    let shown: String = fraction.chars().chain("00".chars()).take(3).collect();
    let millis = number(&shown, 0, 3)?;
    Some(Time(days * DAY + ((hour * 60 + minute - offset(zone)?) * 60 + second) * 1000 + millis))
}

/// Minutes east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    Some(sign * (number(hours, 0, 2)? * 60 + number(minutes, 0, 2)?))
}

fn number(text: &str, start: usize, digits: usize) -> Option<i64> {
    let text = text.get(start..start + digits)?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days of all kinds and far times look as the host writes them.
    #[test]
    fn times_are_written_as_by_the_host() {
        let table = [
            (1_356_999_000_000, "2013-01-01T00:10:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
            (i64::MIN, "-292275055-05-16T16:47:04.192Z"),
            (i64::MAX, "+292278994-08-17T07:12:55.807Z"),
        ];
        for (millis, text) in table {
            assert_eq!(format(Time(millis)).as_str(), text);
        }
    }

    /// What was written is read again, on every day of 130 years.
    #[test]
    fn dates_round_trip() {
        for days in -25_000..25_000 {
            let time = Time(days * DAY + 12_345_678);
            assert_eq!(parse(format(time).as_str()), Some(time));
        }
    }

    /// The usual spellings of a time mean the same; what is no time is refused.
    #[test]
    fn spellings() {
        let same = [
            "2013-01-01T00:10:00Z",
            "2013-01-01 00:10:00",
            "2013-01-01T00:10:00.000999",
            "2013-01-01T05:40:00.0+05:30",
            "2012-12-31T16:10:00-08:00",
        ];
        for text in same {
            assert_eq!(parse(text), Some(Time(1_356_999_000_000)), "{text}");
        }
        let wrong = [
            "",
            "2013-01-01",
            "2013-02-29T00:00:00Z",
            "2013-01-01T24:00:00Z",
            "2013/01/01 00:00:00",
            "2013-01-01T00:10:00X",
        ];
        for text in wrong {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
