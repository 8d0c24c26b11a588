//! Numbers as DynamoDB has them: decimal, of up to 38 digits
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>). JSON has no such
//! bound, and floating point would lose digits, so numbers stay texts.

/// Significant digits.
const DIGITS: usize = 38;
/// Where the first digit may stand: 1E-130 is the smallest number, 9.99…E+125 the greatest.
const PLACES: std::ops::RangeInclusive<i64> = -130..=125;

/// The one form of a number of JSON, by which equal ones can be told, or why it is none of the table's.
pub fn canonical(text: &str) -> Result<String, &'static str> {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Ok("0".to_owned());
    }
    let leading = digits.len() - significant.len();
    let significant = significant.trim_end_matches('0');
    if significant.len() > DIGITS {
        return Err("a number has more than the 38 digits that DynamoDB keeps");
    }
    let exponent = exponent.parse::<i64>().ok().filter(|exponent| exponent.unsigned_abs() < 1 << 32);
    // Of the first digit that is not zero.
    let place = exponent.map(|exponent| exponent + whole.len() as i64 - leading as i64 - 1);
    match place.filter(|place| PLACES.contains(place)) {
        Some(place) => Ok(format!("{sign}{significant}e{place}")),
        None => Err("a number is out of the range of DynamoDB, 1E-130 to 9.9E+125"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same number in several forms → one form; different numbers → different ones.
    #[test]
    fn equal_numbers_are_equal() {
        for forms in [&["0", "-0", "0.00", "0e9"][..], &["1", "1.0", "10e-1", "0.1E+1"], &["-120", "-1.2e2"]] {
            let forms: Vec<_> = forms.iter().map(|text| canonical(text)).collect();
            assert!(forms.iter().all(|form| form.is_ok() && *form == forms[0]), "{forms:?}");
        }
        let all: std::collections::BTreeSet<_> = ["1", "10", "0.1", "-1", "11", "1.1"].map(canonical).into();
        assert_eq!(all.len(), 6);
    }

    /// 38 digits and the ends of the range pass; one more of either does not.
    #[test]
    fn bounds() {
        let digits = |count: usize| "7".repeat(count);
        for text in [
            &digits(38),
            "1e-130",
            "9.9e125",
            &format!("{}000", digits(38)),
            "0.00000000000000000000000000000000000001",
        ] {
            assert!(canonical(text).is_ok(), "{text}");
        }
        for (text, why) in [
            (digits(39).as_str(), "38 digits"),
            ("1e-131", "range"),
            ("1e126", "range"),
            ("1e99999999999999999999", "range"),
            ("1e9223372036854775807", "range"),
        ] {
            assert!(canonical(text).is_err_and(|reason| reason.contains(why)), "{text}");
        }
    }
}
