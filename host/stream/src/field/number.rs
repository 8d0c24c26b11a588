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
    let word = |at: usize| window[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    let negative = window[0] == b'-';
    let sign = usize::from(negative);
    // Both ends of the number come from one load: the next value cannot be read before its place is known.
    let ends = not_digits(word(0)) & if negative { !0xff } else { !0 };
    let first = position(ends)?;
    if first == sign || (window[sign] == b'0' && first > sign + 1) {
        cold_path();
        return None;
    }
    match window[first] {
        b'.' => {
            let end = match position(ends & (ends - 1)) {
                Some(end) => end,
                None => 8 + position(not_digits(word(8)))?,
            };
            let bad = end == first + 1 || matches!(window[end], b'e' | b'E');
            (!bad).then_some(RawNumber { from, length: end, form: Form::Decimal { point: first } })
        }
        b'e' | b'E' => None,
        _ => Some(RawNumber { from, length: first, form: Form::Whole }),
    }
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

/// Marks each byte of a word that is no digit with its highest bit.
#[inline(always)]
const fn not_digits(word: u64) -> u64 {
    let values = word ^ (ONES * b'0' as u64);
    (((values & (ONES * 0x7f)) + ONES * 0x76) | values) & (ONES * 0x80)
}

/// The number of the first marked byte.
#[inline(always)]
fn position(marks: u64) -> Option<usize> {
    if marks == 0 {
        cold_path();
        return None;
    }
    Some((marks.trailing_zeros() / 8) as usize)
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
        let whole = eight_digits(self.from.get(start..)?, point - start)?;
        let behind = eight_digits(self.from.get(point + 1..)?, fraction)?;
        let (power, divisor) = POWERS.get(fraction)?;
        let value = (whole * power + behind) as f64 / divisor;
        Some(if negative { -value } else { value })
    }
}

const POWERS: [(i64, f64); 8] =
    [(1, 1e0), (10, 1e1), (100, 1e2), (1_000, 1e3), (10_000, 1e4), (100_000, 1e5), (1_000_000, 1e6), (10_000_000, 1e7)];

/// The value of the first 1 to 8 digits of `from`. `None` if there are more or fewer, or if fewer than 8 bytes are left.
#[inline]
fn eight_digits(from: &[u8], count: usize) -> Option<i64> {
    let word = u64::from_le_bytes(*from.first_chunk()?);
    let unused = 8usize.checked_sub(count)? as u32 * 8;
    // The first digit is the lowest byte: shifting the others out leaves leading zeros.
    let digits = (word ^ (ONES * b'0' as u64)).checked_shl(unused)?;
    // Two digits per 16 bits, then four per 32, then all.
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    // Signed, because an i64 becomes an f64 in one instruction.
    Some(((fours * 10_000 + (fours >> 32)) & 0xffff_ffff) as i64)
}

#[inline]
fn parse_digits(digits: &[u8]) -> Option<u64> {
    // 19 digits always fit, so most numbers need no check per digit.
    let (safe, rest) = digits.split_at(digits.len().min(19));
    let value = safe.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    rest.iter().try_fold(value, |value: u64, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}
