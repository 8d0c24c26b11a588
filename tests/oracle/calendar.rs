//! Times as text, to milliseconds since 1970-01-01T00:00:00Z and back. UTC only.

/// Reads `2013-01-01 00:02:00`, also with `T`, a fraction of a second, or a `Z`.
pub fn millis(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once([' ', 'T'])?;
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hour, minute, second] = numbers(time, ':')?;
    let thousandths: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some((((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + thousandths)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let parts: Vec<i64> = text.split(separator).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// Days since 1970-01-01, counted year by year and month by month.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |month: i64| match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let years: i64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    years + (1..month).map(length).sum::<i64>() + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known instants read as the seconds that `date -u +%s` prints for them.
    #[test]
    fn known_instants() {
        assert_eq!(millis("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(millis("2013-01-01 00:02:00"), Some(1_356_998_520_000));
        assert_eq!(millis("2016-02-29T23:59:59.999Z"), Some(1_456_790_399_999));
        assert_eq!(millis("2016-03-01 00:00:00.5"), Some(1_456_790_400_500));
        assert_eq!(millis("yesterday"), None);
    }
}
