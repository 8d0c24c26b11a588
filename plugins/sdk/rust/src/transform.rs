//! Stateless logic as a plugin: from a function, from a configured type, or from whole batches.

#[doc(hidden)]
pub mod plugin;

use crate::bindings::Needs;
use crate::{Batch, Columns, Failure, Output, Row, Settings};

/// A transform with settings. The type *is* its settings: each field is read from the step's `settings` in the job file,
/// see [`Settings`].
///
/// ```
/// use wasmill::{Fields, Keyed, Settings, Transform, keyed};
///
/// #[derive(Settings)]
/// struct LongTrips {
///     /// Shorter trips are dropped.
///     #[setting(default = 1.0)]
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
pub trait Transform: Settings {
    /// What it takes. If that borrows, write the lifetime as `'static` here and `'_` in `transform`.
    type Row: Row;
    /// What it returns for each row.
    type Output: Output;

    /// Transforms one row. It must depend on nothing but the row and the settings: rows are replayed after a failure.
    fn transform(&self, row: <Self::Row as Row>::Of<'_>) -> Self::Output;

    /// Where a field of the row is: at the pointer that it declares, unless a setting chooses another.
    fn pointer<'a>(&'a self, declared: &'a str) -> &'a str {
        declared
    }
}

/// A transform over whole batches, for columns that pass through without a copy. The type is its settings.
///
/// ```
/// use wasmill::{Batch, BatchTransform, Columns, Failure, Needs, Rows, Settings};
///
/// /// Moves all rows by a second.
/// #[derive(Settings)]
/// struct Later {}
///
/// impl BatchTransform for Later {
///     fn needs(&self) -> Result<Needs, String> {
///         Ok(Needs::default())
///     }
///
///     fn transform(&self, mut batch: Batch) -> Result<Columns, Failure> {
///         batch.times.iter_mut().for_each(|time| *time += 1000);
///         Ok(Rows { times: Some(batch.times), ..Rows::default() }.into())
///     }
/// }
///
/// wasmill::transform!(batch Later);
/// # fn main() {}
/// ```
pub trait BatchTransform: Settings {
    /// What it wants to see and gives back. An error says which settings do not go together.
    fn needs(&self) -> Result<Needs, String>;

    /// Transforms a batch. Single rows are refused by `rejects`.
    fn transform(&self, batch: Batch) -> Result<Columns, Failure>;
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
        $crate::transform!(@ $type, $crate::transform::plugin::of_rows::<$type>);
    };
    (batch $type:ty) => {
        $crate::transform!(@ $type, $crate::transform::plugin::of_batches::<$type>);
    };
    (@ $settings:ty, $make:expr) => {
        const _: () = {
            struct Component;

            impl $crate::bindings::Lifecycle for Component {
                fn describe() -> $crate::bindings::Description {
                    $crate::describe!($settings, 0)
                }

                fn configure(settings: String) -> Result<$crate::Needs, String> {
                    $crate::transform::plugin::configure(&settings, $make)
                }

                fn migrate(
                    _from_version: u32,
                    _states: $crate::Binary,
                ) -> Result<$crate::Binary, $crate::bindings::Failure> {
                    $crate::transform::plugin::migrate()
                }
            }

            impl $crate::bindings::Transformer for Component {
                fn transform(batch: $crate::Batch) -> Result<$crate::Columns, $crate::bindings::Failure> {
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
        $crate::transform!(@ $crate::settings::NoSettings, |settings| $crate::transform::plugin::of_function(settings, $function));
    };
}
