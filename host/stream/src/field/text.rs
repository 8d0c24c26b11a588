//! JSON strings: finding the end of one while checking it, and resolving its escapes. Works on the bytes after the
//! opening quote; allocates nothing by itself.

/// A string as it stands in a record: checked, escapes not resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawText<'a> {
    /// The bytes between the quotes, valid UTF-8.
    pub bytes: &'a [u8],
    /// Whether there are escapes among them.
    pub escaped: bool,
}

impl<'a> RawText<'a> {
    /// The string with its escapes resolved, in `scratch` if there are any.
    #[inline]
    pub fn resolve<'s>(self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        if self.escaped { resolve_escapes(self.bytes, scratch) } else { self.bytes }
    }
}

/// The string that ends at the first quote of `from`, and what follows the quote. `None` if it does not end or is not
/// valid.
#[inline(always)]
pub(super) fn scan(from: &[u8]) -> Option<(RawText<'_>, &[u8])> {
    let mut wide = 0;
    let length = plain_run(from, &mut wide);
    if wide == 0
        && let (bytes, [b'"', rest @ ..]) = from.split_at_checked(length)?
    {
        return Some((RawText { bytes, escaped: false }, rest));
    }
    scan_any(from)
}

/// Strings with escapes or characters beyond ASCII.
#[inline(never)]
fn scan_any(from: &[u8]) -> Option<(RawText<'_>, &[u8])> {
    let (mut at, mut escaped, mut wide) = (0, false, 0);
    loop {
        at += plain_run(from.get(at..)?, &mut wide);
        match from.get(at)? {
            b'"' => break,
            b'\\' => {
                at += escape(from.get(at..)?)?.1;
                escaped = true;
            }
            _ => return None,
        }
    }
    let bytes = from.get(..at)?;
    if wide != 0 && std::str::from_utf8(bytes).is_err() {
        return None;
    }
    Some((RawText { bytes, escaped }, from.get(at + 1..)?))
}

/// How many bytes come before the first quote, backslash or control character. Sets bits of `wide` if a byte that is
/// not ASCII is among them; one that comes shortly after may set them too.
#[inline(always)]
fn plain_run(bytes: &[u8], wide: &mut u64) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        *wide |= word & HIGHS;
        let stops = equal(word, b'"') | equal(word, b'\\') | (word.wrapping_sub(ONES * 0x20) & !word & HIGHS);
        if stops != 0 {
            return at + stops.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    for byte in bytes.get(at..).unwrap_or_default() {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            break;
        }
        *wide |= u64::from(!byte.is_ascii());
        at += 1;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES * 0x80;

/// Marks with its highest bit the first byte of a word that equals `byte`; marks after the first mean nothing.
#[inline(always)]
const fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (ONES * byte as u64);
    zero.wrapping_sub(ONES) & !zero & HIGHS
}

/// The character of the escape sequence that `bytes` begin with, and its length.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let character = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_escape(bytes),
        _ => return None,
    };
    Some((character, 2))
}

fn unicode_escape(bytes: &[u8]) -> Option<(char, usize)> {
    let first = code_unit(bytes)?;
    if !(0xd800..0xdc00).contains(&first) {
        // A trailing surrogate alone is no char either.
        return char::from_u32(first).map(|character| (character, 6));
    }
    let second = code_unit(bytes.get(6..)?)?;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low).map(|character| (character, 12))
}

/// The value of `\uXXXX`.
fn code_unit(bytes: &[u8]) -> Option<u32> {
    let &[b'\\', b'u', ref digits @ ..] = bytes.first_chunk::<6>()? else { return None };
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

fn resolve_escapes<'s>(mut bytes: &[u8], scratch: &'s mut Vec<u8>) -> &'s [u8] {
    scratch.clear();
    while let Some(at) = memchr::memchr(b'\\', bytes) {
        let (plain, rest) = bytes.split_at(at);
        scratch.extend_from_slice(plain);
        // Never `None`: `scan` has read the same escapes.
        let (character, length) = escape(rest).unwrap_or((char::REPLACEMENT_CHARACTER, rest.len()));
        scratch.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        bytes = &rest[length..];
    }
    scratch.extend_from_slice(bytes);
    scratch
}
