//! JSON numbers: finding the end of one while checking its grammar, and its value.

use std::hint::cold_path;

/// A number as it stands in a record, of valid grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawNumber<'a> {
    /// The record from the number on.
    from: &'a [u8],
    /// How long the number is.
    length: usize,
    form: Form,
}

/// What a number consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `-12`
    Whole,
    /// `-12.5`, with the place of the point.
    Decimal { point: usize },
    /// `1e3`, `1.5e3`
    Scientific,
}

/// The number that `from` begins with, and what follows it.
#[inline(always)]
pub(super) fn scan(from: &[u8]) -> Option<(RawNumber<'_>, &[u8])> {
    let number = match scan_short(from) {
        Some(number) => number,
        None => scan_any(from)?,
    };
    Some((number, from.get(number.length..)?))
}

/// Numbers without an exponent that end within 16 bytes. `None` says no more than that it is not one of these.
#[inline(always)]
fn scan_short(from: &[u8]) -> Option<RawNumber<'_>> {
    let window: &[u8; 16] = from.first_chunk()?;
    let sign = usize::from(window[0] == b'-');
    // A bit for each byte that is no digit. Both ends of the number come from one load, for short latency.
    let ends = not_digits(window) & !(sign as u32);
    let first = ends.trailing_zeros() as usize;
    if first == sign || (window[sign] == b'0' && first > sign + 1) {
        cold_path();
        return None;
    }
    let (end, form) = match window.get(first)? {
        b'.' => ((ends & (ends - 1)).trailing_zeros() as usize, Form::Decimal { point: first }),
        _ => (first, Form::Whole),
    };
    if matches!(window.get(end)?, b'e' | b'E') || (form != Form::Whole && end == first + 1) {
        cold_path();
        return None;
    }
    Some(RawNumber { from, length: end, form })
}

#[inline(never)]
fn scan_any(from: &[u8]) -> Option<RawNumber<'_>> {
    let sign = usize::from(from.first() == Some(&b'-'));
    let digits = from.get(sign..)?;
    let count = digit_run(digits);
    if count == 0 || (count > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let mut length = sign + count;
    let mut form = Form::Whole;
    if from.get(length) == Some(&b'.') {
        form = Form::Decimal { point: length };
        let count = digit_run(from.get(length + 1..)?);
        length += 1 + count;
        if count == 0 {
            return None;
        }
    }
    if let Some(b'e' | b'E') = from.get(length) {
        form = Form::Scientific;
        length += 1 + usize::from(matches!(from.get(length + 1), Some(b'+' | b'-')));
        let count = digit_run(from.get(length..)?);
        length += count;
        if count == 0 {
            return None;
        }
    }
    Some(RawNumber { from, length, form })
}

fn digit_run(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// A bit for each byte that is no digit.
#[inline(always)]
fn not_digits(window: &[u8; 16]) -> u32 {
    let [low, high] = [0, 8].map(|at| {
        let word = window[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let values = word ^ (ONES * b'0' as u64);
        let marks = (((values & (ONES * 0x7f)) + ONES * 0x76) | values) & (ONES * 0x80);
        // Gathers the highest bit of each byte in one byte.
        (marks >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    });
    (low | high << 8) as u32
}

impl<'a> RawNumber<'a> {
    /// Its text.
    #[inline]
    pub fn text(self) -> &'a [u8] {
        &self.from[..self.length]
    }

    /// Its value as an s64; `None` if it has a fraction or an exponent or is out of range. `-0` is 0.
    #[inline]
    pub fn to_i64(self) -> Option<i64> {
        if self.form != Form::Whole {
            return None;
        }
        match self.text() {
            [b'-', digits @ ..] => 0i64.checked_sub_unsigned(parse_digits(digits)?),
            digits => 0i64.checked_add_unsigned(parse_digits(digits)?),
        }
    }

    /// Its value as the nearest f64; `None` if it is out of range.
    #[inline]
    pub fn to_f64(self) -> Option<f64> {
        self.to_f64_short().or_else(|| fast_float2::parse(self.text()).ok().filter(|value: &f64| value.is_finite()))
    }

    /// Numbers like coordinates and prices: at most 8 digits before the point and 7 behind it. Both the digits as one
    /// integer and the power of ten are exact then, so that their quotient is the nearest f64.
    #[inline]
    fn to_f64_short(self) -> Option<f64> {
        let Form::Decimal { point } = self.form else { return None };
        let negative = self.from.first() == Some(&b'-');
        let start = usize::from(negative);
        let fraction = self.length - point - 1;
        let power = POWERS.get(fraction)?;
        let whole = eight_digits(self.from.get(start..)?, point - start)?;
        let value = whole * power + eight_digits(self.from.get(point + 1..)?, fraction)?;
        let value = value as f64 / *power as f64;
        Some(if negative { -value } else { value })
    }
}

const POWERS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The value of the first 1 to 8 digits of `from`. `None` if there are more or fewer, or if fewer than 8 bytes are left.
#[inline]
fn eight_digits(from: &[u8], count: usize) -> Option<u64> {
    let word = u64::from_le_bytes(*from.first_chunk()?);
    let unused = 8usize.checked_sub(count)? as u32 * 8;
    // The first digit is the lowest byte: shifting the others out leaves leading zeros.
    let digits = (word ^ (ONES * b'0' as u64)).checked_shl(unused)?;
    // Two digits per 16 bits, then four per 32, then all.
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

#[inline]
fn parse_digits(digits: &[u8]) -> Option<u64> {
    // 19 digits always fit, so most numbers need no check per digit.
    let (safe, rest) = digits.split_at(digits.len().min(19));
    let value = safe.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    rest.iter().try_fold(value, |value: u64, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}
