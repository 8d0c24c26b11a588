//! JSON numbers: finding the end of one while checking its grammar, and its value.

/// A number as it stands in a record, of valid grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawNumber<'a> {
    /// Its text.
    pub text: &'a [u8],
    /// Whether it has neither a fraction nor an exponent.
    pub whole: bool,
}

/// The number that `bytes` begin with. What follows it is the caller's to check.
#[inline]
pub(super) fn scan(bytes: &[u8]) -> Option<RawNumber<'_>> {
    let start = usize::from(bytes.first() == Some(&b'-'));
    let digits = bytes.get(start..)?;
    let mut at = start + digit_run(digits);
    if at == start || (at > start + 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let mut whole = true;
    if bytes.get(at) == Some(&b'.') {
        let count = digit_run(bytes.get(at + 1..)?);
        if count == 0 {
            return None;
        }
        at += 1 + count;
        whole = false;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let count = digit_run(bytes.get(at..)?);
        if count == 0 {
            return None;
        }
        at += count;
        whole = false;
    }
    Some(RawNumber { text: bytes.get(..at)?, whole })
}

/// How many digits `bytes` begin with.
#[inline]
fn digit_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let others = not_digits(u64::from_le_bytes(*word));
        if others != 0 {
            return at + others.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + bytes.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Marks with its highest bit each byte of a word that is no digit.
#[inline]
const fn not_digits(word: u64) -> u64 {
    let values = word ^ (ONES * b'0' as u64);
    (((values & (ONES * 0x7f)) + ONES * 0x76) | values) & (ONES * 0x80)
}

impl RawNumber<'_> {
    /// Its value as an s64; `None` if it is not whole or out of range. `-0` is 0.
    #[inline]
    pub fn to_i64(self) -> Option<i64> {
        if !self.whole {
            return None;
        }
        match self.text.strip_prefix(b"-") {
            Some(digits) => 0i64.checked_sub_unsigned(parse_digits(digits)?),
            None => 0i64.checked_add_unsigned(parse_digits(self.text)?),
        }
    }

    /// Its value as the nearest f64; `None` if it is out of range.
    #[inline]
    pub fn to_f64(self) -> Option<f64> {
        fast_float2::parse(self.text).ok().filter(|value: &f64| value.is_finite())
    }
}

#[inline]
fn parse_digits(digits: &[u8]) -> Option<u64> {
    // 19 digits always fit, so most numbers need no check per digit.
    let (safe, rest) = digits.split_at(digits.len().min(19));
    let value = safe.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    rest.iter().try_fold(value, |value: u64, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}
