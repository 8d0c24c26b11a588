//! The fields of a protobuf message, one after the other, where they lie. Knows the wire format and no message.

/// The bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer.
    Number(u64),
    /// Bytes, a text, or a message.
    Bytes {
        /// Where they begin in the message.
        at: usize,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Four or eight bytes, which none of our messages has.
    Fixed,
}

/// Walks over the fields of a message as (number, value). Ends at the first error.
pub struct Fields<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// The fields of a message.
    pub fn of(message: &'a [u8]) -> Self {
        Self { message, at: 0 }
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.bytes(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes { at: self.at, bytes: self.bytes(length)? }
            }
            5 => self.bytes(4).map(|_| Value::Fixed)?,
            // Groups, which were given up before the format was made.
            _ => return Err(Malformed),
        };
        if key >> 3 == 0 { Err(Malformed) } else { Ok((key >> 3, value)) }
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(Malformed)?;
        let bytes = self.message.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.message.get(self.at).ok_or(Malformed)?;
            self.at += 1;
            // Of the tenth byte only one bit fits; others are dropped, as by other readers.
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.at < self.message.len()).then(|| self.field().inspect_err(|_| self.at = self.message.len()))
    }
}
