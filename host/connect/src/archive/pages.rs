//! Looks at the headers of the pages of a column before anything is decoded: a page says how large it is when it is unpacked and
//! how many values it has, and whoever decodes it takes memory for that. A header is a struct in Thrift's compact protocol.

/// The encodings that are written: plain values, levels, and numbers of values in a dictionary.
const ENCODINGS: [i64; 4] = [0, 2, 3, 8];
/// How deep structs lie in each other in a header.
const DEEPEST: usize = 8;

/// What a header says.
#[derive(Debug, Default)]
struct Header {
    unpacked: i64,
    packed: i64,
    /// Of a page of values, or of a dictionary.
    values: i64,
    encoding: i64,
    is_dictionary: bool,
}

/// Whether the pages of a column chunk take no more than `most` bytes unpacked, and no page has more values than `rows`, or than
/// fit into it.
pub fn check(mut chunk: &[u8], most: u64, rows: u64) -> Result<(), String> {
    let mut total = 0_u64;
    while !chunk.is_empty() {
        let mut thrift = Thrift { bytes: chunk };
        let header = thrift.header().ok_or("the header of a page cannot be read")?;
        let size = |size: i64| u64::try_from(size).map_err(|_| format!("a page of {size} bytes"));
        total = total.saturating_add(size(header.unpacked)?);
        if total > most {
            return Err(format!("its pages take more than {most} bytes"));
        }
        // A text in a dictionary has a length of four bytes.
        let bound = if header.is_dictionary { size(header.unpacked)? / 4 } else { rows };
        if !u64::try_from(header.values).is_ok_and(|values| values <= bound) {
            return Err(format!("a page of {} values", header.values));
        }
        if !ENCODINGS.contains(&header.encoding) {
            return Err(format!("a page in encoding {}, which no archive has", header.encoding));
        }
        let packed = usize::try_from(header.packed).map_err(|_| format!("a page of {} bytes", header.packed))?;
        chunk = thrift.bytes.get(packed..).ok_or("a page goes on behind the end of its column")?;
    }
    Ok(())
}

/// A reader of structs. What cannot be read is `None`.
struct Thrift<'b> {
    bytes: &'b [u8],
}

impl Thrift<'_> {
    fn header(&mut self) -> Option<Header> {
        let mut header = Header::default();
        self.fields(|thrift, field, kind| match (field, kind) {
            (2, 5) => thrift.number().map(|number| header.unpacked = number),
            (3, 5) => thrift.number().map(|number| header.packed = number),
            // Values, a dictionary, values of the second version.
            (5 | 7 | 8, 12) => {
                header.is_dictionary = field == 7;
                let encoding = if field == 8 { 4 } else { 2 };
                thrift.fields(|thrift, inner, kind| match (inner, kind) {
                    (1, 5) => thrift.number().map(|number| header.values = number),
                    (_, 5) if inner == encoding => thrift.number().map(|number| header.encoding = number),
                    _ => thrift.skip(kind, DEEPEST),
                })
            }
            _ => thrift.skip(kind, DEEPEST),
        })?;
        Some(header)
    }

    /// Reads the fields of a struct, each by its number and type.
    fn fields(&mut self, mut read: impl FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut last = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            last = match head >> 4 {
                0 => self.number()?,
                delta => last.checked_add(i64::from(delta))?,
            };
            read(self, last, head & 0x0f)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            1 | 2 => Some(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.take(8),
            8 => {
                let length = self.varint()?;
                self.take(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                // Booleans of a list have a byte each.
                let of = if matches!(head & 0x0f, 1 | 2) { 3 } else { head & 0x0f };
                (0..length).try_for_each(|_| self.skip(of, depth))
            }
            12 => self.fields(|thrift, _, kind| thrift.skip(kind, depth)),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<i64> {
        let raw = self.varint()?;
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn take(&mut self, count: u64) -> Option<()> {
        self.bytes = self.bytes.get(usize::try_from(count).ok()?..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(mut value: u64, to: &mut Vec<u8>) {
        while value >= 0x80 {
            to.push(value as u8 | 0x80);
            value >>= 7;
        }
        to.push(value as u8);
    }

    /// A page of nothing with this header. `dictionary`: whether it is one.
    fn page(unpacked: i64, packed: i64, values: i64, encoding: i64, dictionary: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut field = |head: u8, value: i64| {
            bytes.push(head);
            varint(((value << 1) ^ (value >> 63)) as u64, &mut bytes);
        };
        field(0x15, if dictionary { 2 } else { 0 });
        field(0x15, unpacked);
        field(0x15, packed);
        bytes.push(if dictionary { 0x4c } else { 0x2c });
        let mut field = |head: u8, value: i64| {
            bytes.push(head);
            varint(((value << 1) ^ (value >> 63)) as u64, &mut bytes);
        };
        field(0x15, values);
        field(0x15, encoding);
        bytes.extend([0, 0]);
        bytes
    }

    /// Pages that fit, and pages that would take memory for nothing: too large, of too many values, in an encoding that takes memory
    /// by what it says, longer than their column, negative.
    #[test]
    fn headers() {
        let fits = [page(100, 0, 10, 0, false), page(40, 0, 10, 0, true)].concat();
        assert_eq!(check(&fits, 140, 10), Ok(()));
        for (chunk, expected) in [
            (fits.clone(), "more than 139 bytes"),
            (page(i64::from(i32::MAX), 0, 1, 0, false), "more than 139 bytes"),
            (page(1, 0, 11, 0, false), "11 values"),
            (page(100, 0, 1_000_000_000, 0, true), "1000000000 values"),
            (page(100, 0, 26, 0, true), "26 values"),
            (page(1, 0, 1, 5, false), "encoding 5"),
            (page(1, 1, 1, 0, false), "behind the end"),
            (page(-1, 0, 1, 0, false), "-1 bytes"),
            (page(1, -1, 1, 0, false), "-1 bytes"),
            (page(1, 0, -1, 0, false), "-1 values"),
            (vec![0x15], "cannot be read"),
            (vec![0x1c; 100], "cannot be read"),
        ] {
            let error = check(&chunk, 139, 10).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }
}
