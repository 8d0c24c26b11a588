//! What a row looks like to a plugin: decoded fields, the parsed value, its raw bytes, its key, its event time, or several of
//! these together. All come from one batch; each knows which columns it needs.

mod field;

#[doc(hidden)]
pub use field::{Declaration, Field, Fields, TimeField};

use crate::emit::Side;
use crate::{Batch, Binary, Key, Needs, Output, Reject, SideOutput, Time};
use serde::de::DeserializeOwned;

/// What a transform or an aggregator can take for each row:
///
/// * a struct with `#[derive(Fields)]`: JSON fields that the host decodes, by far the fastest way to look into a value;
/// * [`Json<T>`]: the whole value, parsed with serde; [`Raw`]: its bytes;
/// * [`Key`] and [`EventTime`]: what earlier steps have set;
/// * a tuple of these, or `()` if the row itself does not matter.
///
/// In a struct with `#[derive(Fields)]` each field is named by a JSON pointer, `/` and its own name unless
/// `#[field("/a/b")]` says otherwise; `|` separates alternatives, of which the first that is present counts. Types are `f64`,
/// `i64`, `bool`, `String`, `&'a str` (no copy), [`Time`], and `Option` of these. Times are ISO 8601 text or milliseconds;
/// `#[field(time = "unix-s")]` or a strptime pattern says otherwise. The host refuses rows without a field that is not
/// optional, so a plugin never sees them.
///
/// ```
/// use wasmill::{EventTime, Fields, Time, keyed, Keyed};
///
/// #[derive(Fields)]
/// struct Bid<'a> {
///     #[field("/auction/id")]
///     auction: i64,
///     bidder: &'a str,
///     price: f64,
///     #[field("/expires|/expiry", time = "unix-s")]
///     expires: Option<Time>,
/// }
///
/// fn open_bids((bid, EventTime(now)): (Bid<'_>, EventTime)) -> Option<Keyed<i64>> {
///     bid.expires.is_none_or(|at| at > now).then(|| keyed(bid.auction))
/// }
///
/// wasmill::transform!(open_bids);
/// # fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a row",
    note = "a row is a struct with #[derive(Fields)], Json<T>, Raw, Key, EventTime, or a tuple of these"
)]
pub trait Row: Sized {
    /// The same row, borrowing from a batch that lives for `'row`.
    type Of<'row>;
    /// Reads the rows of one batch, in order.
    #[doc(hidden)]
    type Reader<'row>;
    /// Whether the raw values are needed.
    #[doc(hidden)]
    const READS_VALUES: bool;

    /// Adds the declarations of its fields.
    #[doc(hidden)]
    fn declare(fields: &mut Vec<Declaration>);

    /// Finds its columns. The error says which one is not as declared.
    #[doc(hidden)]
    fn open<'row>(batch: &'row Batch, fields: &mut Fields<'row>) -> Result<Self::Reader<'row>, String>;

    /// Reads a row. Rows are asked for in ascending order.
    #[doc(hidden)]
    fn read<'row>(reader: &mut Self::Reader<'row>, row: usize) -> Result<Self::Of<'row>, Reject>;
}

/// The value of the row, parsed from JSON. A value that does not parse as `T` is refused with serde's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// The value of the row as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a [u8]);

/// The event time of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime(pub Time);

impl<T: DeserializeOwned> Row for Json<T> {
    type Of<'row> = Self;
    type Reader<'row> = &'row Binary;
    const READS_VALUES: bool = true;

    fn declare(_fields: &mut Vec<Declaration>) {}

    fn open<'row>(batch: &'row Batch, _fields: &mut Fields<'row>) -> Result<&'row Binary, String> {
        values(batch)
    }

    fn read<'row>(values: &mut Self::Reader<'row>, row: usize) -> Result<Self::Of<'row>, Reject> {
        Ok(Self(serde_json::from_slice(values.get(row))?))
    }
}

impl Row for Raw<'_> {
    type Of<'row> = Raw<'row>;
    type Reader<'row> = &'row Binary;
    const READS_VALUES: bool = true;

    fn declare(_fields: &mut Vec<Declaration>) {}

    fn open<'row>(batch: &'row Batch, _fields: &mut Fields<'row>) -> Result<&'row Binary, String> {
        values(batch)
    }

    #[inline]
    fn read<'row>(values: &mut Self::Reader<'row>, row: usize) -> Result<Self::Of<'row>, Reject> {
        Ok(Raw(values.get(row)))
    }
}

impl Row for Key<'_> {
    type Of<'row> = Key<'row>;
    type Reader<'row> = &'row Binary;
    const READS_VALUES: bool = false;

    fn declare(_fields: &mut Vec<Declaration>) {}

    fn open<'row>(batch: &'row Batch, _fields: &mut Fields<'row>) -> Result<&'row Binary, String> {
        let missing =
            "the rows have no keys: put a step that sets them before this one; a process has the key in its context";
        batch.keys.as_ref().ok_or_else(|| missing.into())
    }

    #[inline]
    fn read<'row>(keys: &mut Self::Reader<'row>, row: usize) -> Result<Self::Of<'row>, Reject> {
        Ok(Key::new(keys.get(row)))
    }
}

impl Row for EventTime {
    type Of<'row> = Self;
    type Reader<'row> = &'row [i64];
    const READS_VALUES: bool = false;

    fn declare(_fields: &mut Vec<Declaration>) {}

    fn open<'row>(batch: &'row Batch, _fields: &mut Fields<'row>) -> Result<&'row [i64], String> {
        Ok(&batch.times)
    }

    #[inline]
    fn read<'row>(times: &mut Self::Reader<'row>, row: usize) -> Result<Self::Of<'row>, Reject> {
        Ok(Self(Time(times[row])))
    }
}

impl Row for () {
    type Of<'row> = ();
    type Reader<'row> = ();
    const READS_VALUES: bool = false;

    fn declare(_fields: &mut Vec<Declaration>) {}

    fn open<'row>(_batch: &'row Batch, _fields: &mut Fields<'row>) -> Result<(), String> {
        Ok(())
    }

    #[inline]
    fn read<'row>(_reader: &mut Self::Reader<'row>, _row: usize) -> Result<Self::Of<'row>, Reject> {
        Ok(())
    }
}

macro_rules! tuple {
    ($($part:ident $place:tt),+) => {
        impl<$($part: Row),+> Row for ($($part,)+) {
            type Of<'row> = ($($part::Of<'row>,)+);
            type Reader<'row> = ($($part::Reader<'row>,)+);
            const READS_VALUES: bool = $($part::READS_VALUES)||+;

            fn declare(fields: &mut Vec<Declaration>) {
                $($part::declare(fields);)+
            }

            fn open<'row>(batch: &'row Batch, fields: &mut Fields<'row>) -> Result<Self::Reader<'row>, String> {
                Ok(($($part::open(batch, fields)?,)+))
            }

            #[inline]
            fn read<'row>(reader: &mut Self::Reader<'row>, row: usize) -> Result<Self::Of<'row>, Reject> {
                Ok(($($part::read(&mut reader.$place, row)?,)+))
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);

impl Needs {
    /// What a plugin needs that takes rows `R` and gives back `O`; `pointer` says where the fields are.
    pub(crate) fn of<'a, R: Row, O: Output>(pointer: impl Fn(&'static str) -> &'a str) -> Self {
        let mut fields = Vec::new();
        R::declare(&mut fields);
        Self {
            fields: fields.iter().map(|field| format!("{}: {}", pointer(field.pointer), field.kind)).collect(),
            reads_values: R::READS_VALUES,
            writes_values: O::COLUMNS.values,
            side_outputs: O::SIDES.iter().map(SideOutput::from).collect(),
        }
    }
}

impl From<&Side> for SideOutput {
    fn from(side: &Side) -> Self {
        Self { name: side.name.to_owned(), writes_values: side.columns.values }
    }
}

fn values(batch: &Batch) -> Result<&Binary, String> {
    batch.values.as_ref().ok_or_else(|| "the batch has no raw values although the plugin reads them".into())
}
