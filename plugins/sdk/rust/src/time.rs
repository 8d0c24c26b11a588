//! Times: milliseconds since 1970-01-01T00:00:00Z. Written as the host writes them, `2013-01-01T00:10:00.000Z`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::Sub;
use std::str::FromStr;

const DAY: i64 = 86_400_000;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z. JSON shows it as `2013-01-01T00:10:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// The text form, without an allocation. Years outside 0 to 9999 are cut to that range.
    pub fn iso8601(self) -> Iso8601 {
        const FIRST: i64 = -719_528 * DAY;
        const LAST: i64 = 2_932_897 * DAY - 1;
        let millis = self.0.clamp(FIRST, LAST);
        let (year, month, day) = date(millis.div_euclid(DAY));
        let clock = millis.rem_euclid(DAY) as u32;

        let mut text = *b"0000-00-00T00:00:00.000Z";
        put(&mut text, 0, 4, year);
        put(&mut text, 5, 2, month);
        put(&mut text, 8, 2, day);
        put(&mut text, 11, 2, clock / 3_600_000);
        put(&mut text, 14, 2, clock / 60_000 % 60);
        put(&mut text, 17, 2, clock / 1000 % 60);
        put(&mut text, 20, 3, clock % 1000);
        Iso8601(text)
    }
}

/// A time as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iso8601([u8; 24]);

impl Iso8601 {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and separators are ASCII")
    }
}

fn put(text: &mut [u8; 24], start: usize, digits: usize, mut number: u32) {
    for place in text[start..start + digits].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day number since 1970-01-01, by Hinnant's algorithm over 400-year eras that start in March.
fn date(days: i64) -> (u32, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

/// The inverse of [`date`]. `None` if there is no such day.
fn day_number(year: i64, month: i64, day: i64) -> Option<i64> {
    let march_year = year - i64::from(month <= 2);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let year_of_era = march_year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = march_year.div_euclid(400) * 146_097 + day_of_era - 719_468;
    (date(days) == (year as u32, month as u32, day as u32)).then_some(days)
}

impl FromStr for Time {
    type Err = String;

    /// Reads `2013-01-01T00:10:00.000Z`, also with a space for the `T`, an offset, no fraction, or no zone, which means UTC.
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| format!("expected a time such as 2013-01-01T00:10:00.000Z, found {text:?}"))
    }
}

fn parse(text: &str) -> Option<Time> {
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

impl Sub for Time {
    type Output = i64;

    /// Milliseconds from `earlier` to this time.
    fn sub(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.iso8601().as_str())
    }
}

impl Serialize for Time {
    /// Text in formats for people, milliseconds in others.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.iso8601().as_str())
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    /// Text or milliseconds in formats for people, milliseconds in others.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(TextOrMillis)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

struct TextOrMillis;

impl de::Visitor<'_> for TextOrMillis {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2013-01-01T00:10:00.000Z, or milliseconds")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E>(self, millis: i64) -> Result<Time, E> {
        Ok(Time(millis))
    }

    fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Time, E> {
        i64::try_from(millis).map(Time).map_err(E::custom)
    }
}
