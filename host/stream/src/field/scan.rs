//! Reads JSON values, checking all of their syntax. Each function takes the rest of a record and returns what is left
//! of it behind what it read, or `None` if the record is malformed. Knows nothing of fields.

use super::number::{self, RawNumber};
use super::text::{self, RawText};

/// How many objects and arrays may be open at once, the record itself included: as many as serde_json allows, so that
/// a plugin can parse whatever passes here.
pub(super) const MAX_DEPTH: u32 = 127;

/// A value as it stands in a record: checked, but not converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raw<'a> {
    /// There is none.
    Absent,
    /// Nothing is known, because the record is malformed.
    Malformed,
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(RawNumber<'a>),
    /// A string.
    Text(RawText<'a>),
    /// An object or an array.
    Nested,
}

/// Behind this byte.
#[inline(always)]
pub(super) fn byte(rest: &[u8], byte: u8) -> Option<&[u8]> {
    rest.split_first().filter(|(first, _)| **first == byte).map(|(_, rest)| rest)
}

/// Behind white space, if any.
#[inline(always)]
pub(super) fn space(rest: &[u8]) -> &[u8] {
    match rest.first() {
        Some(0..=b' ') => more_space(rest),
        _ => rest,
    }
}

#[inline(never)]
fn more_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\r' | b'\t', behind @ ..] = rest {
        rest = behind;
    }
    rest
}

/// A key and what is behind its colon, with white space around everything.
pub(super) fn key(rest: &[u8]) -> Option<(RawText<'_>, &[u8])> {
    let (key, rest) = text::scan(byte(space(rest), b'"')?)?;
    Some((key, space(byte(space(rest), b':')?)))
}

/// Any value, inside of `depth` objects and arrays.
#[inline(always)]
pub(super) fn value(rest: &[u8], depth: u32) -> Option<(Raw<'_>, &[u8])> {
    match rest.first()? {
        b'"' => text::scan(rest.get(1..)?).map(|(text, rest)| (Raw::Text(text), rest)),
        b'-' | b'0'..=b'9' => number::scan(rest).map(|(number, rest)| (Raw::Number(number), rest)),
        _ => other_value(rest, depth),
    }
}

#[inline(never)]
fn other_value(rest: &[u8], depth: u32) -> Option<(Raw<'_>, &[u8])> {
    match rest.first()? {
        b'{' => object(rest, depth).map(|rest| (Raw::Nested, rest)),
        b'[' => array(rest, depth).map(|rest| (Raw::Nested, rest)),
        b't' => Some((Raw::Bool(true), rest.strip_prefix(b"true")?)),
        b'f' => Some((Raw::Bool(false), rest.strip_prefix(b"false")?)),
        b'n' => Some((Raw::Null, rest.strip_prefix(b"null")?)),
        _ => None,
    }
}

/// Behind the bracket that opens an object or array inside of `depth` others.
pub(super) fn open(rest: &[u8], depth: u32) -> Option<&[u8]> {
    if depth < MAX_DEPTH { rest.get(1..) } else { None }
}

fn object(rest: &[u8], depth: u32) -> Option<&[u8]> {
    let mut rest = space(open(rest, depth)?);
    if let Some(rest) = byte(rest, b'}') {
        return Some(rest);
    }
    loop {
        let (_, at_value) = key(rest)?;
        rest = space(value(at_value, depth + 1)?.1);
        match rest.split_first()? {
            (b',', behind) => rest = behind,
            (b'}', behind) => return Some(behind),
            _ => return None,
        }
    }
}

fn array(rest: &[u8], depth: u32) -> Option<&[u8]> {
    let mut rest = space(open(rest, depth)?);
    if let Some(rest) = byte(rest, b']') {
        return Some(rest);
    }
    loop {
        rest = space(value(space(rest), depth + 1)?.1);
        match rest.split_first()? {
            (b',', behind) => rest = behind,
            (b']', behind) => return Some(behind),
            _ => return None,
        }
    }
}
