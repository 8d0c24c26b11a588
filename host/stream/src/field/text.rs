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
    let length = run(from, |word| attention(word) & HIGHS);
    let (length, escaped) = match from.get(length) {
        Some(b'"') => (length, false),
        _ => scan_any(from, length)?,
    };
    Some((RawText { bytes: from.get(..length)?, escaped }, from.get(length + 1..)?))
}

/// The length of a string of any kind, and whether it has escapes. The first `at` bytes are not special.
#[inline(never)]
fn scan_any(from: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        at += run(from.get(at..)?, |word| attention(word) & !word & HIGHS);
        match from.get(at)? {
            b'"' => break,
            b'\\' => {
                at += escape(from.get(at..)?)?.1;
                escaped = true;
            }
            0..b' ' => return None,
            _ => at += 1,
        }
    }
    std::str::from_utf8(from.get(..at)?).ok()?;
    Some((at, escaped))
}

/// How many bytes come before the first one that `stops` marks with its highest bit, or fewer if the end is near.
#[inline(always)]
fn run(bytes: &[u8], stops: impl Fn(u64) -> u64) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = stops(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES * 0x80;

/// Up to the first quote, backslash or control character of a word, sets the highest bit of that byte and of those that
/// are not ASCII, and of no other. All other bits mean nothing.
#[inline(always)]
const fn attention(word: u64) -> u64 {
    let quotes = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslashes = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    quotes | backslashes | word.wrapping_sub(ONES * b' ' as u64)
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
