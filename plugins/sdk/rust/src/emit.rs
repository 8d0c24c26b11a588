//! What a transform may return for a row.

mod part;
mod writer;

use part::{KeyPart, Part, TimePart, ValuePart};
#[doc(hidden)]
pub use writer::Writer;

use crate::{Fault, Json, Time, ToKey};
use serde::Serialize;

/// What a transform may return for each row, and a process may emit:
///
/// * [`Emit`]: keep the row, with a new key, event time or value; [`Json`]: with a new value;
/// * `()`: keep it as it is; `bool`: keep or drop it;
/// * `Option`: `None` drops it; `Vec` or an array: several rows or none;
/// * `Result<_, Reject>`: refuse it with a reason. `?` works with any error. With a [`Failure`](crate::Failure) for the
///   error the whole call fails; with a [`Fault`] it is either;
/// * an enum with `#[derive(Outputs)]`, which has a variant for each output.
///
/// # Side outputs
///
/// A side output is a variant, whatever it holds being what goes there; later steps name it as `STEP.NAME`, where the name is
/// that of the variant in snake case, or what `#[output("name")]` says. A variant without content passes the row on as it is.
///
/// ```
/// use wasmill::{Fields, Json, Keyed, Outputs, keyed};
///
/// #[derive(Fields)]
/// struct Reading {
///     sensor: Option<String>,
///     level: f64,
/// }
///
/// #[derive(Outputs)]
/// enum Sorted {
///     #[output(main)]
///     Known(Keyed<String>),
///     Nameless,
///     #[output("out-of-range")]
///     Wild(Json<f64>),
/// }
///
/// fn sort(reading: Reading) -> Sorted {
///     match reading {
///         Reading { level, .. } if level > 1e6 => Sorted::Wild(Json(level)),
///         Reading { sensor: Some(name), .. } => Sorted::Known(keyed(name)),
///         Reading { sensor: None, .. } => Sorted::Nameless,
///     }
/// }
///
/// wasmill::transform!(sort);
/// # fn main() {}
/// ```
///
/// Names are letters, digits, `_` and `-`, each once, and not `late`: anything else does not compile.
///
/// ```compile_fail
/// #[derive(wasmill::Outputs)]
/// enum Sorted {
///     #[output(main)]
///     Known,
///     Late,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something that a transform returns",
    note = "return (), bool, Emit, Keyed<K>, Json<T>, an enum with #[derive(Outputs)], an Option, Vec or array of these, \
            or a Result<_, Reject> of any of them"
)]
pub trait Output {
    /// The columns of the main output.
    #[doc(hidden)]
    const COLUMNS: Set;
    /// The side outputs.
    #[doc(hidden)]
    const SIDES: &'static [Side] = &[];
    #[doc(hidden)]
    fn write(self, writer: &mut Writer);
}

/// A side output.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    pub name: &'static str,
    pub columns: Set,
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
    /// Every row as it came.
    pub const NONE: Self = Self { keys: false, times: false, values: false };
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

impl<S: Serialize> Output for Json<S> {
    const COLUMNS: Set = <Emit<Same, Same, Json<S>>>::COLUMNS;

    #[inline]
    fn write(self, writer: &mut Writer) {
        emit().json(self.0).write(writer);
    }
}

impl<O: Output> Output for Option<O> {
    const COLUMNS: Set = O::COLUMNS;
    const SIDES: &'static [Side] = O::SIDES;

    #[inline]
    fn write(self, writer: &mut Writer) {
        if let Some(output) = self {
            output.write(writer);
        }
    }
}

impl<O: Output> Output for Vec<O> {
    const COLUMNS: Set = O::COLUMNS;
    const SIDES: &'static [Side] = O::SIDES;

    fn write(self, writer: &mut Writer) {
        self.into_iter().for_each(|output| output.write(writer));
    }
}

impl<O: Output, const N: usize> Output for [O; N] {
    const COLUMNS: Set = O::COLUMNS;
    const SIDES: &'static [Side] = O::SIDES;

    fn write(self, writer: &mut Writer) {
        self.into_iter().for_each(|output| output.write(writer));
    }
}

impl<O: Output, E: Into<Fault>> Output for Result<O, E> {
    const COLUMNS: Set = O::COLUMNS;
    const SIDES: &'static [Side] = O::SIDES;

    #[inline]
    fn write(self, writer: &mut Writer) {
        match self {
            Ok(output) => output.write(writer),
            Err(error) => writer.fault(error.into()),
        }
    }
}
