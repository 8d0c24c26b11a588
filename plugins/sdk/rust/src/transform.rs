//! Stateless logic as a plugin: from a function, from a configured type, or from whole batches.

#[doc(hidden)]
pub mod plugin;

use crate::bindings::Needs;
use crate::{Batch, Columns, Output, Row};
use serde::de::DeserializeOwned;

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
        $crate::transform!(@ $crate::transform::plugin::of_rows::<$type>);
    };
    (batch $type:ty) => {
        $crate::transform!(@ $crate::transform::plugin::of_batches::<$type>);
    };
    (@ $make:expr) => {
        const _: () = {
            struct Component;

            impl $crate::bindings::Lifecycle for Component {
                fn describe() -> $crate::bindings::Description {
                    $crate::bindings::describe(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
                }

                fn configure(settings: String) -> Result<$crate::Needs, String> {
                    $crate::transform::plugin::configure(&settings, $make)
                }
            }

            impl $crate::bindings::Transformer for Component {
                fn transform(batch: $crate::Batch) -> Result<$crate::Columns, String> {
                    $crate::transform::plugin::call(batch)
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
        $crate::transform!(@ |settings| $crate::transform::plugin::of_function(settings, $function));
    };
}
