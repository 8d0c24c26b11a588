//! Stateless logic as a plugin: from a function, from a configured type, or from whole batches.

use crate::bindings::Needs;
use crate::emit::Writer;
use crate::row::Fields;
use crate::settings::{self, NoSettings};
use crate::{Batch, Columns, Output, Row, log};
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::marker::PhantomData;

/// A transform with settings. The type *is* its settings: each field is read from the step's `settings` in the job file.
/// Use `#[serde(default)]` for optional ones and `#[serde(try_from = "…")]` to check or prepare them.
///
/// ```
/// use wasmill::{Fields, Keyed, Transform, keyed};
///
/// #[derive(serde::Deserialize)]
/// struct LongTrips {
///     minimum: f64,
/// }
///
/// #[derive(Fields)]
/// struct Trip {
///     distance: f64,
///     zone: i64,
/// }
///
/// impl Transform for LongTrips {
///     type Row = Trip;
///     type Output = Option<Keyed<i64>>;
///
///     fn transform(&self, trip: Trip) -> Self::Output {
///         (trip.distance >= self.minimum).then(|| keyed(trip.zone))
///     }
/// }
///
/// wasmill::transform!(type LongTrips);
/// # fn main() {}
/// ```
pub trait Transform: DeserializeOwned + 'static {
    /// What it takes. If that borrows, write the lifetime as `'static` here and `'_` in `transform`.
    type Row: Row;
    /// What it returns for each row.
    type Output: Output;

    /// Transforms one row. It must depend on nothing but the row and the settings: rows are replayed after a failure.
    fn transform(&self, row: <Self::Row as Row>::Of<'_>) -> Self::Output;
}

/// A transform over whole batches, for columns that pass through without a copy. The type is its settings.
///
/// ```
/// use wasmill::{Batch, BatchTransform, Columns, Needs};
///
/// /// Moves all rows by a second.
/// #[derive(serde::Deserialize)]
/// struct Later {}
///
/// impl BatchTransform for Later {
///     fn needs(&self) -> Needs {
///         Needs { fields: Vec::new(), reads_values: false, writes_values: false }
///     }
///
///     fn transform(&self, mut batch: Batch) -> Result<Columns, String> {
///         batch.times.iter_mut().for_each(|time| *time += 1000);
///         Ok(Columns { times: Some(batch.times), ..Columns::default() })
///     }
/// }
///
/// wasmill::transform!(batch Later);
/// # fn main() {}
/// ```
pub trait BatchTransform: DeserializeOwned + 'static {
    /// What it wants to see and gives back.
    fn needs(&self) -> Needs;

    /// Transforms a batch. An error fails the job: refuse single rows by `rejects`.
    fn transform(&self, batch: Batch) -> Result<Columns, String>;
}

/// Makes a plugin of a function, of a [`Transform`], or of a [`BatchTransform`]. Once per crate, in its root.
///
/// ```text
/// wasmill::transform!(function);
/// wasmill::transform!(type Type);
/// wasmill::transform!(batch Type);
/// ```
#[macro_export]
macro_rules! transform {
    (type $type:ty) => {
        $crate::transform!(@ $crate::transform::of_rows::<$type>);
    };
    (batch $type:ty) => {
        $crate::transform!(@ $crate::transform::of_batches::<$type>);
    };
    (@ $make:expr) => {
        const _: () = {
            struct Component;

            impl $crate::bindings::Lifecycle for Component {
                fn describe() -> $crate::bindings::Description {
                    $crate::bindings::describe(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
                }

                fn configure(settings: String) -> Result<$crate::Needs, String> {
                    $crate::transform::configure(&settings, $make)
                }
            }

            impl $crate::bindings::Transformer for Component {
                fn transform(batch: $crate::Batch) -> Result<$crate::Columns, String> {
                    $crate::transform::call(batch)
                }
            }

            // Without WebAssembly nothing calls the plugin; it is still no dead code.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn(String) -> Result<$crate::Needs, String> =
                <Component as $crate::bindings::Lifecycle>::configure;
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::export_lifecycle!(Component with_types_in $crate::bindings::lifecycle);
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::export_transformer!(Component with_types_in $crate::bindings::transformer);
        };
    };
    ($function:path) => {
        $crate::transform!(@ |settings| $crate::transform::of_function(settings, $function));
    };
}

/// A configured transform, whatever it was written as.
#[doc(hidden)]
pub trait Plugin {
    fn needs(&self) -> Needs;
    fn transform(&self, batch: Batch) -> Result<Columns, String>;
}

thread_local! {
    /// The plugin of this instance, set by `configure`.
    static PLUGIN: RefCell<Option<Box<dyn Plugin>>> = const { RefCell::new(None) };
}

#[doc(hidden)]
pub fn configure(settings: &str, make: impl FnOnce(&str) -> Result<Box<dyn Plugin>, String>) -> Result<Needs, String> {
    log::report_panics();
    let plugin = make(settings)?;
    let needs = plugin.needs();
    PLUGIN.set(Some(plugin));
    Ok(needs)
}

#[doc(hidden)]
pub fn call(batch: Batch) -> Result<Columns, String> {
    PLUGIN.with_borrow(|plugin| plugin.as_ref().ok_or("transform was called before configure")?.transform(batch))
}

// === functions ===

/// A function over rows that may borrow from the batch.
#[doc(hidden)]
pub trait Function<'row, R: Row> {
    type Output: Output;
    fn call(&self, row: R::Of<'row>) -> Self::Output;
}

impl<'row, R: Row, F: Fn(R::Of<'row>) -> O, O: Output> Function<'row, R> for F {
    type Output = O;

    #[inline]
    fn call(&self, row: R::Of<'row>) -> O {
        self(row)
    }
}

struct OfFunction<F, R>(F, PhantomData<R>);

#[doc(hidden)]
pub fn of_function<R, O, F>(settings: &str, function: F) -> Result<Box<dyn Plugin>, String>
where
    R: Row + 'static,
    O: Output,
    // The first bound lets the compiler find the row type, the second lets rows borrow.
    F: Fn(R) -> O + for<'row> Function<'row, R> + 'static,
{
    settings::parse::<NoSettings>(settings)?;
    Ok(Box::new(OfFunction(function, PhantomData)))
}

impl<R: Row, F: for<'row> Function<'row, R>> Plugin for OfFunction<F, R> {
    fn needs(&self) -> Needs {
        needs::<R, <F as Function<'static, R>>::Output>()
    }

    fn transform(&self, batch: Batch) -> Result<Columns, String> {
        each_row::<R, _>(&batch, |row| self.0.call(row))
    }
}

// === types ===

struct OfRows<T>(T);

#[doc(hidden)]
pub fn of_rows<T: Transform>(settings: &str) -> Result<Box<dyn Plugin>, String> {
    Ok(Box::new(OfRows(settings::parse::<T>(settings)?)))
}

impl<T: Transform> Plugin for OfRows<T> {
    fn needs(&self) -> Needs {
        needs::<T::Row, T::Output>()
    }

    fn transform(&self, batch: Batch) -> Result<Columns, String> {
        each_row::<T::Row, _>(&batch, |row| self.0.transform(row))
    }
}

struct OfBatches<T>(T);

#[doc(hidden)]
pub fn of_batches<T: BatchTransform>(settings: &str) -> Result<Box<dyn Plugin>, String> {
    Ok(Box::new(OfBatches(settings::parse::<T>(settings)?)))
}

impl<T: BatchTransform> Plugin for OfBatches<T> {
    fn needs(&self) -> Needs {
        self.0.needs()
    }

    fn transform(&self, batch: Batch) -> Result<Columns, String> {
        self.0.transform(batch)
    }
}

fn needs<R: Row, O: Output>() -> Needs {
    let mut fields = Vec::new();
    R::declare(&mut fields);
    Needs { fields, reads_values: R::READS_VALUES, writes_values: O::COLUMNS.values }
}

fn each_row<'a, R: Row, O: Output>(batch: &'a Batch, call: impl Fn(R::Of<'a>) -> O) -> Result<Columns, String> {
    let mut reader = R::open(batch, &mut Fields::of(batch))?;
    let mut writer = Writer::new(batch.len(), O::COLUMNS);
    for row in 0..batch.len() {
        writer.start(row);
        match R::read(&mut reader, row) {
            Ok(read) => call(read).write(&mut writer),
            Err(reject) => writer.reject(reject),
        }
    }
    Ok(writer.finish(batch.len(), O::COLUMNS))
}

#[cfg(test)]
mod tests;
