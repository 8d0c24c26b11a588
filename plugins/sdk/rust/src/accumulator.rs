//! How accumulators become bytes between two calls: postcard for whatever serde knows, fixed places for plain numbers.

use crate::{Binary, Failure, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What an aggregator keeps per window and key. The host stores it as bytes between calls; a fresh one is `Default`.
///
/// Derive serde's `Serialize` and `Deserialize` for anything with text, lists, maps or options. A struct of numbers is coded
/// twice as fast with `#[derive(Accumulator)]`:
///
/// ```
/// #[derive(Default, wasmill::Accumulator)]
/// struct Sum {
///     count: u64,
///     total: f64,
/// }
/// ```
///
/// Either way the fields and their order are the format of stored state: a changed struct does not read old state. Count up
/// `STATE_VERSION` of the plugin then, and read the old bytes in its `migrate`.
pub trait Accumulator: Default {
    /// Appends the bytes.
    fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), String>;

    /// Reads what `encode` wrote.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

impl<T: Serialize + DeserializeOwned + Default> Accumulator for T {
    fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let mut serializer = postcard::Serializer { output: Appender(bytes) };
        self.serialize(&mut serializer).map_err(|error| format!("write {}: {error}", std::any::type_name::<T>()))
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match postcard::take_from_bytes(bytes) {
            Ok((accumulator, [])) => Ok(accumulator),
            Ok((_, rest)) => Err(misfit(std::any::type_name::<T>(), format!("{} bytes are left over", rest.len()))),
            Err(error) => Err(misfit(std::any::type_name::<T>(), error)),
        }
    }
}

impl Binary {
    /// The column in today's layout, each item read by `read`. Empty ones stay empty.
    pub(crate) fn migrate<A: Accumulator>(
        &self,
        mut read: impl FnMut(&[u8]) -> Result<A, Failure>,
    ) -> Result<Self, Failure> {
        let mut column = Self::with_capacity(self.len(), self.bytes.len());
        for bytes in self.iter() {
            if !bytes.is_empty() {
                read(bytes)?.encode(&mut column.bytes)?;
            }
            column.close();
        }
        Ok(column)
    }
}

/// What a plugin says that can read no state but its own.
pub(crate) fn unknown_version(found: u32, own: u32) -> Failure {
    Failure::Fatal(format!(
        "the stored state has version {found}; this plugin reads version {own} and no older one is known"
    ))
}

struct Appender<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Appender<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// A value of fixed size, little-endian.
#[doc(hidden)]
pub trait Plain: Sized {
    const SIZE: usize;
    fn put(&self, bytes: &mut Vec<u8>);
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

/// Reads an accumulator that `put` wrote.
#[doc(hidden)]
#[inline]
pub fn read_plain<T: Plain>(mut bytes: &[u8], name: &str) -> Result<T, String> {
    if bytes.len() == T::SIZE
        && let Some(value) = T::take(&mut bytes)
    {
        return Ok(value);
    }
    Err(misfit(name, format!("it has {} bytes instead of {}", bytes.len(), T::SIZE)))
}

fn misfit(name: &str, why: impl std::fmt::Display) -> String {
    format!("the stored state does not fit {name}, another version of the plugin wrote it: {why}")
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Plain for $type {
            const SIZE: usize = size_of::<Self>();

            #[inline]
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                let (first, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(Self::from_le_bytes(*first))
            }
        }
    )*};
}

number!(u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);

impl Plain for bool {
    const SIZE: usize = 1;

    fn put(&self, bytes: &mut Vec<u8>) {
        u8::from(*self).put(bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        u8::take(bytes).map(|byte| byte != 0)
    }
}

impl Plain for Time {
    const SIZE: usize = 8;

    fn put(&self, bytes: &mut Vec<u8>) {
        self.0.put(bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        i64::take(bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Default, Debug, PartialEq, wasmill::Accumulator)]
    struct Inner {
        least: i16,
        at: Time,
    }

    #[derive(Default, Debug, PartialEq, wasmill::Accumulator)]
    struct Numbers {
        count: u64,
        mean: f64,
        seen: bool,
        inner: Inner,
    }

    /// Plain structs, nested ones too, take the sum of their sizes and come back.
    #[test]
    fn plain_numbers() {
        let numbers = Numbers { count: 7, mean: -0.5, seen: true, inner: Inner { least: -3, at: Time(9) } };
        let mut bytes = Vec::new();
        assert_eq!(numbers.encode(&mut bytes), Ok(()));
        assert_eq!(bytes.len(), 8 + 8 + 1 + 2 + 8);
        assert_eq!(Numbers::decode(&bytes), Ok(numbers));
        assert!(Numbers::decode(&bytes[1..]).is_err());
    }

    /// Anything that serde knows is compact and comes back; bytes left over are refused.
    #[test]
    fn serde_types() {
        let counts: BTreeMap<String, u64> = [("a".to_owned(), 1), ("b".to_owned(), 300)].into();
        let mut bytes = Vec::new();
        assert_eq!(counts.encode(&mut bytes), Ok(()));
        assert_eq!(bytes.len(), 8);
        assert_eq!(Accumulator::decode(&bytes), Ok(counts));
        bytes.push(0);
        assert!(BTreeMap::<String, u64>::decode(&bytes).is_err());
    }
}
