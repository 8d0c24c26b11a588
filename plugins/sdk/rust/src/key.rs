//! Keys: rows with equal bytes belong together. Keys are written as readable text, because they show up in document ids,
//! logs and dead letters; parts of a tuple are joined by `|`, and escaped so that different tuples give different keys.

use std::borrow::Cow;
use std::str::FromStr;

/// What can be a key: text, bytes, integers, and tuples of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    note = "keys are text, bytes, integers, or tuples of them; or implement `wasmill::ToKey` for it"
)]
pub trait ToKey {
    /// Appends the key.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Appends the key as a part of a tuple, with `|` and `\` escaped by `\`.
    fn write_part(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        self.write(bytes);
        if bytes[start..].iter().any(|byte| b"|\\".contains(byte)) {
            let plain = bytes.split_off(start);
            for byte in plain {
                if b"|\\".contains(&byte) {
                    bytes.push(b'\\');
                }
                bytes.push(byte);
            }
        }
    }
}

/// The key of a row or of an accumulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    /// A key, for tests.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The key as it is.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The key as text; bytes that are no UTF-8 are replaced.
    pub fn text(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.0)
    }

    /// The parts of a key that was made from a tuple. The error names the key.
    ///
    /// ```
    /// # use wasmill::Key;
    /// let (zone, hour) = Key::new(b"JFK|17").parts::<(String, i64)>()?;
    /// assert_eq!((zone.as_str(), hour), ("JFK", 17));
    /// # Ok::<(), String>(())
    /// ```
    pub fn parts<T: FromParts>(self) -> Result<T, String> {
        let mut parts = Parts(Some(self.0));
        let tuple = T::from_parts(&mut parts).filter(|_| parts.next().is_none());
        tuple.ok_or_else(|| format!("key {:?} was made by another transform: its parts do not fit", self.text()))
    }
}

/// Tuples that [`Key::parts`] can give back. Each part is read with [`FromStr`].
pub trait FromParts: Sized {
    #[doc(hidden)]
    fn from_parts(parts: &mut Parts<'_>) -> Option<Self>;
}

/// The parts of a key: what is between the `|` that are not escaped. `None` when there are no more.
#[doc(hidden)]
pub struct Parts<'a>(Option<&'a [u8]>);

impl Parts<'_> {
    fn parse<T: FromStr>(&mut self) -> Option<T> {
        T::from_str(&self.next()?).ok()
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        let rest = self.0?;
        let mut escaped = false;
        let bar = rest.iter().position(|&byte| {
            let ends = byte == b'|' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let part = bar.map_or(rest, |bar| &rest[..bar]);
        self.0 = bar.map(|bar| &rest[bar + 1..]);
        Some(if part.contains(&b'\\') { Cow::Owned(unescape(part)) } else { String::from_utf8_lossy(part) })
    }
}

fn unescape(part: &[u8]) -> String {
    let mut plain = Vec::with_capacity(part.len());
    let mut bytes = part.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
    }
    String::from_utf8_lossy(&plain).into_owned()
}

macro_rules! text {
    ($($type:ty),*) => {$(
        impl ToKey for $type {
            #[inline]
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(self.as_ref());
            }
        }
    )*};
}

text!(&str, String, &[u8], Vec<u8>);

impl<const N: usize> ToKey for [u8; N] {
    #[inline]
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl ToKey for $type {
            #[inline]
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
            }

            #[inline]
            fn write_part(&self, bytes: &mut Vec<u8>) {
                self.write(bytes);
            }
        }
    )*};
}

integer!(i16, i32, i64, u16, u32, u64, usize);

macro_rules! tuple {
    ($first:ident 0 $(, $part:ident $place:tt)+) => {
        impl<$first: ToKey $(, $part: ToKey)+> ToKey for ($first, $($part,)+) {
            #[inline]
            fn write(&self, bytes: &mut Vec<u8>) {
                self.0.write_part(bytes);
                $(
                    bytes.push(b'|');
                    self.$place.write_part(bytes);
                )+
            }
        }

        impl<$first: FromStr $(, $part: FromStr)+> FromParts for ($first, $($part,)+) {
            fn from_parts(parts: &mut Parts<'_>) -> Option<Self> {
                Some((parts.parse::<$first>()?, $(parts.parse::<$part>()?,)+))
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: impl ToKey) -> Vec<u8> {
        let mut bytes = Vec::new();
        key.write(&mut bytes);
        bytes
    }

    /// Keys are readable, and a key alone is not changed.
    #[test]
    fn keys_are_text() {
        assert_eq!(key(("dr5ru7", -7400, 17_u64)), b"dr5ru7|-7400|17");
        assert_eq!(key("a|b"), b"a|b");
        assert_eq!(key([0_u8, 255]), [0, 255]);
    }

    /// Tuples that differ have different keys, whatever is in their texts, and come back as they were.
    #[test]
    fn tuples_stay_apart() {
        for tuple in [("a|b", "c"), ("a", "b|c"), ("a\\", "|c"), ("a\\|", "c"), ("", "")] {
            let bytes = key(tuple);
            let back = Key::new(&bytes).parts::<(String, String)>();
            assert_eq!(back, Ok((tuple.0.to_owned(), tuple.1.to_owned())));
        }
    }

    /// Too few parts, too many, or other types are an error that shows the key.
    #[test]
    fn foreign_keys_are_refused() {
        for foreign in ["1", "1|2|3", "1|x"] {
            let error = Key::new(foreign.as_bytes()).parts::<(i64, i64)>().expect_err("two numbers");
            assert!(error.contains(foreign), "{error}");
        }
    }
}
