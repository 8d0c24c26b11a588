//! What a transform may return for a row.

mod part;
mod writer;

use part::{KeyPart, Part, TimePart, ValuePart};
#[doc(hidden)]
pub use writer::Writer;

use crate::{Json, Reject, Time, ToKey};
use serde::Serialize;

/// What a transform may return for each row:
///
/// * [`Emit`]: keep the row, with a new key, event time or value;
/// * `()`: keep it as it is; `bool`: keep or drop it;
/// * `Option`: `None` drops it; `Vec` or an array of [`Emit`]: several rows or none;
/// * `Result<_, Reject>`: refuse it with a reason. `?` works with any error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something that a transform returns",
    note = "return (), bool, Emit, Keyed<K>, an Option of these, a Vec of Emit, or a Result<_, Reject> of any of them"
)]
pub trait Output {
    #[doc(hidden)]
    const COLUMNS: Set;
    #[doc(hidden)]
    fn write(self, writer: &mut Writer);
}

/// The columns that outputs of a type set.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    pub keys: bool,
    pub times: bool,
    pub values: bool,
}

impl Set {
    const NONE: Self = Self { keys: false, times: false, values: false };
}

/// A part of a row that stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Same;

/// A row to emit. What is not set stays as in the input row. See [`emit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Emit<K = Same, T = Same, V = Same> {
    /// The new key.
    pub key: K,
    /// The new event time.
    pub time: T,
    /// The new value.
    pub value: V,
}

/// A row with a new key.
pub type Keyed<K> = Emit<K>;

/// The row as it is; set what changes.
///
/// ```
/// # use wasmill::{emit, Time};
/// # #[derive(serde::Serialize)] struct Alert { level: i64 }
/// emit().key("sensor-7").time(Time(0)).json(Alert { level: 3 });
/// ```
pub fn emit() -> Emit {
    Emit::default()
}

/// The row with a new key.
pub fn keyed<K: ToKey>(key: K) -> Keyed<K> {
    emit().key(key)
}

impl<T, V> Emit<Same, T, V> {
    /// Sets the key.
    pub fn key<K: ToKey>(self, key: K) -> Emit<K, T, V> {
        Emit { key, time: self.time, value: self.value }
    }
}

impl<K, V> Emit<K, Same, V> {
    /// Sets the event time.
    pub fn time(self, time: Time) -> Emit<K, Time, V> {
        Emit { key: self.key, time, value: self.value }
    }
}

impl<K, T> Emit<K, T, Same> {
    /// Sets the value to something written as JSON.
    pub fn json<S: Serialize>(self, value: S) -> Emit<K, T, Json<S>> {
        Emit { key: self.key, time: self.time, value: Json(value) }
    }

    /// Sets the value to bytes.
    pub fn bytes<B: AsRef<[u8]>>(self, value: B) -> Emit<K, T, Bytes<B>> {
        Emit { key: self.key, time: self.time, value: Bytes(value) }
    }
}

/// A value given as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes<B>(pub B);

// === impl Output ===

impl<K: Part<KeyPart>, T: TimePart, V: Part<ValuePart>> Output for Emit<K, T, V> {
    const COLUMNS: Set = Set { keys: K::SET, times: T::SET, values: V::SET };

    #[inline]
    fn write(self, writer: &mut Writer) {
        writer.emit(&self);
    }
}

impl Output for () {
    const COLUMNS: Set = Set::NONE;

    fn write(self, writer: &mut Writer) {
        writer.emit(&emit());
    }
}

impl Output for bool {
    const COLUMNS: Set = Set::NONE;

    #[inline]
    fn write(self, writer: &mut Writer) {
        if self {
            writer.emit(&emit());
        }
    }
}

impl<O: Output> Output for Option<O> {
    const COLUMNS: Set = O::COLUMNS;

    #[inline]
    fn write(self, writer: &mut Writer) {
        if let Some(output) = self {
            output.write(writer);
        }
    }
}

impl<O: Output> Output for Vec<O> {
    const COLUMNS: Set = O::COLUMNS;

    fn write(self, writer: &mut Writer) {
        self.into_iter().for_each(|output| output.write(writer));
    }
}

impl<O: Output, const N: usize> Output for [O; N] {
    const COLUMNS: Set = O::COLUMNS;

    fn write(self, writer: &mut Writer) {
        self.into_iter().for_each(|output| output.write(writer));
    }
}

impl<O: Output> Output for Result<O, Reject> {
    const COLUMNS: Set = O::COLUMNS;

    #[inline]
    fn write(self, writer: &mut Writer) {
        match self {
            Ok(output) => output.write(writer),
            Err(reject) => writer.reject(reject),
        }
    }
}
