//! Cells: what the fields of a `#[derive(Fields)]` struct can be, and how each type is read from its column.

use crate::{Batch, Binary, Column, Time};

/// A type that the host can decode a JSON field to.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type that the host decodes",
    note = "fields are f64, i64, bool, String, &'a str, Time, or an Option of these"
)]
pub trait Field: Sized {
    /// The same type, borrowing from a batch that lives for `'row`.
    type Of<'row>;
    /// The column.
    type Cells<'row>;
    /// The type in a declaration.
    const KIND: &'static str;
    /// Whether rows may lack the field.
    const OPTIONAL: bool = false;

    /// The cells of a column, if it has this type.
    fn cells(column: &Column) -> Option<Self::Cells<'_>>;

    /// The cell of a row. Rows are asked for in ascending order.
    fn read<'row>(cells: &mut Self::Cells<'row>, row: usize) -> Self::Of<'row>;
}

/// The columns of a batch, taken in the order of their declarations.
pub struct Fields<'row> {
    columns: std::slice::Iter<'row, Column>,
}

impl<'row> Fields<'row> {
    /// The columns of `batch`.
    pub fn of(batch: &'row Batch) -> Self {
        Self { columns: batch.fields.iter() }
    }

    /// The next column, declared as `T` at `pointer`.
    pub fn next<T: Field>(&mut self, pointer: &str) -> Result<T::Cells<'row>, String> {
        let column = self.columns.next();
        column.and_then(T::cells).ok_or_else(|| format!("the host sent no column of {} for field {pointer}", T::KIND))
    }
}

/// A field as it is declared to the host.
pub struct Declaration {
    /// Where it is, unless a setting says otherwise.
    pub pointer: &'static str,
    /// Its type, with a `?` if rows may lack it.
    pub kind: String,
}

impl Declaration {
    /// A field of type `T`.
    pub fn of<T: Field>(pointer: &'static str) -> Self {
        Self { pointer, kind: format!("{}{}", T::KIND, optional::<T>()) }
    }

    /// A field with a time format.
    pub fn of_time<T: TimeField>(pointer: &'static str, format: &str) -> Self {
        Self { pointer, kind: format!("{}({format}){}", T::KIND, optional::<T>()) }
    }
}

fn optional<T: Field>() -> &'static str {
    if T::OPTIONAL { "?" } else { "" }
}

/// A field that has a time format.
#[diagnostic::on_unimplemented(message = "only a field of type `Time` has a time format", label = "this is no time")]
pub trait TimeField: Field {}

impl TimeField for Time {}
impl TimeField for Option<Time> {}

macro_rules! number {
    ($type:ty, $cell:ty, $kind:literal, $cells:ident, $read:expr) => {
        impl Field for $type {
            type Of<'row> = Self;
            type Cells<'row> = &'row [$cell];
            const KIND: &'static str = $kind;

            fn cells(column: &Column) -> Option<&[$cell]> {
                column.$cells()
            }

            #[inline]
            fn read<'row>(cells: &mut Self::Cells<'row>, row: usize) -> Self::Of<'row> {
                $read(cells[row])
            }
        }
    };
}

number!(f64, f64, "f64", floats, |cell| cell);
number!(i64, i64, "s64", ints, |cell| cell);
number!(bool, bool, "bool", bools, |cell| cell);
number!(Time, i64, "time", ints, Time);

/// The cells of a text column, checked once to be UTF-8.
pub struct Texts<'row> {
    text: &'row str,
    ends: &'row [u32],
}

impl Field for &str {
    type Of<'row> = &'row str;
    type Cells<'row> = Texts<'row>;
    const KIND: &'static str = "string";

    fn cells(column: &Column) -> Option<Texts<'_>> {
        let Binary { ends, bytes } = column.strings()?;
        Some(Texts { text: std::str::from_utf8(bytes).ok()?, ends })
    }

    #[inline]
    fn read<'row>(cells: &mut Self::Cells<'row>, row: usize) -> Self::Of<'row> {
        let start = if row == 0 { 0 } else { cells.ends[row - 1] };
        &cells.text[start as usize..cells.ends[row] as usize]
    }
}

impl Field for String {
    type Of<'row> = Self;
    type Cells<'row> = Texts<'row>;
    const KIND: &'static str = "string";

    fn cells(column: &Column) -> Option<Texts<'_>> {
        <&str>::cells(column)
    }

    fn read<'row>(cells: &mut Self::Cells<'row>, row: usize) -> Self::Of<'row> {
        <&str>::read(cells, row).to_owned()
    }
}

impl<T: Field> Field for Option<T> {
    type Of<'row> = Option<T::Of<'row>>;
    type Cells<'row> = (T::Cells<'row>, &'row [u32]);
    const KIND: &'static str = T::KIND;
    const OPTIONAL: bool = true;

    fn cells(column: &Column) -> Option<Self::Cells<'_>> {
        Some((T::cells(column)?, &column.missing))
    }

    #[inline]
    fn read<'row>((cells, missing): &mut Self::Cells<'row>, row: usize) -> Self::Of<'row> {
        while let Some((&first, rest)) = missing.split_first() {
            if first as usize >= row {
                break;
            }
            *missing = rest;
        }
        let lacks = missing.first().is_some_and(|&first| first as usize == row);
        if lacks { None } else { Some(T::read(cells, row)) }
    }
}
