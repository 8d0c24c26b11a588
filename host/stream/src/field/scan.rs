//! Reads JSON values one after another, checking all of their syntax. Everything returns `None` if the record is
//! malformed. Knows nothing of fields.

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

/// The part of a record that is not read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    /// The bytes from here to the end.
    pub rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The next byte.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Goes `count` bytes on.
    #[inline]
    pub fn advance(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        Some(())
    }

    /// Reads this byte.
    #[inline]
    pub fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? == byte { self.advance(1) } else { None }
    }

    /// Reads white space, if any.
    #[inline]
    pub fn skip_space(&mut self) {
        while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Reads white space and then the next byte, without going past it.
    #[inline]
    pub fn peek_token(&mut self) -> Option<u8> {
        self.skip_space();
        self.peek()
    }

    /// Reads the end of the record.
    pub fn end(&mut self) -> Option<()> {
        self.skip_space();
        self.rest.is_empty().then_some(())
    }

    /// Reads a string.
    #[inline]
    pub fn text(&mut self) -> Option<RawText<'a>> {
        self.take(b'"')?;
        let text = text::scan(self.rest)?;
        self.advance(text.bytes.len() + 1)?;
        Some(text)
    }

    /// Reads a key, the colon and the white space around them.
    #[inline]
    pub fn key(&mut self) -> Option<RawText<'a>> {
        self.skip_space();
        let key = self.text()?;
        self.skip_space();
        self.take(b':')?;
        self.skip_space();
        Some(key)
    }

    /// Reads any value, inside of `depth` objects and arrays.
    #[inline]
    pub fn value(&mut self, depth: u32) -> Option<Raw<'a>> {
        match self.peek()? {
            b'"' => self.text().map(Raw::Text),
            b'-' | b'0'..=b'9' => {
                let number = number::scan(self.rest)?;
                self.advance(number.text.len())?;
                Some(Raw::Number(number))
            }
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b't' => self.word(b"true", Raw::Bool(true)),
            b'f' => self.word(b"false", Raw::Bool(false)),
            b'n' => self.word(b"null", Raw::Null),
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8], value: Raw<'a>) -> Option<Raw<'a>> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(value)
    }

    fn object(&mut self, depth: u32) -> Option<Raw<'a>> {
        self.open(depth)?;
        if self.peek_token()? == b'}' {
            return self.close();
        }
        loop {
            self.key()?;
            self.value(depth + 1)?;
            match self.peek_token()? {
                b',' => self.advance(1)?,
                b'}' => return self.close(),
                _ => return None,
            }
        }
    }

    fn array(&mut self, depth: u32) -> Option<Raw<'a>> {
        self.open(depth)?;
        if self.peek_token()? == b']' {
            return self.close();
        }
        loop {
            self.skip_space();
            self.value(depth + 1)?;
            match self.peek_token()? {
                b',' => self.advance(1)?,
                b']' => return self.close(),
                _ => return None,
            }
        }
    }

    /// Reads the bracket that opens an object or array inside of `depth` others.
    pub fn open(&mut self, depth: u32) -> Option<()> {
        if depth < MAX_DEPTH { self.advance(1) } else { None }
    }

    fn close(&mut self) -> Option<Raw<'a>> {
        self.advance(1)?;
        Some(Raw::Nested)
    }
}
