//! Windowed logic as a plugin.

#[doc(hidden)]
pub mod plugin;

use crate::{Accumulator, Binary, Key, Reject, Row, Window};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Logic over windows of keyed rows. The host decides which window and key a row belongs to, keeps the accumulators, and
/// asks for results when a window fires. The type is its settings, as with [`Transform`](crate::Transform).
///
/// ```
/// use wasmill::{Aggregator, Fields, Key, Time, Window};
///
/// #[derive(serde::Deserialize)]
/// struct AverageFare {}
///
/// #[derive(Fields)]
/// struct Trip {
///     fare: f64,
/// }
///
/// #[derive(Default, wasmill::Accumulator)]
/// struct Fares {
///     count: u64,
///     sum: f64,
/// }
///
/// #[derive(serde::Serialize)]
/// struct Average {
///     zone: String,
///     average: f64,
///     window_end: Time,
/// }
///
/// impl Aggregator for AverageFare {
///     type Row = Trip;
///     type Accumulator = Fares;
///     type Results = Option<Average>;
///
///     fn accumulate(&self, fares: &mut Fares, trip: Trip) {
///         fares.count += 1;
///         fares.sum += trip.fare;
///     }
///
///     fn merge(&self, into: &mut Fares, from: Fares) {
///         into.count += from.count;
///         into.sum += from.sum;
///     }
///
///     fn finish(&self, window: Window, key: Key<'_>, fares: Fares) -> Option<Average> {
///         let average = fares.sum / fares.count as f64;
///         Some(Average { zone: key.text().into_owned(), average, window_end: window.end })
///     }
/// }
///
/// wasmill::aggregator!(AverageFare);
/// # fn main() {}
/// ```
pub trait Aggregator: DeserializeOwned + 'static {
    /// What it takes. If that borrows, write the lifetime as `'static` here and `'_` in `accumulate`.
    type Row: Row;
    /// What it keeps per window and key.
    type Accumulator: Accumulator;
    /// What it returns when a window fires.
    type Results: Results;

    /// Refuses a row before it changes anything. Takes all rows unless written.
    fn check(&self, _row: &<Self::Row as Row>::Of<'_>) -> Result<(), Reject> {
        Ok(())
    }

    /// Adds a row.
    fn accumulate(&self, accumulator: &mut Self::Accumulator, row: <Self::Row as Row>::Of<'_>);

    /// Adds what another accumulator of the same key has collected. Sliding and session windows need it.
    fn merge(&self, into: &mut Self::Accumulator, from: Self::Accumulator);

    /// Turns the accumulator of a window that fires into results, none or several. If rows within the allowed lateness come
    /// later, it is called again with what has been collected until then.
    fn finish(&self, window: Window, key: Key<'_>, accumulator: Self::Accumulator) -> Self::Results;
}

/// What an aggregator may return: an `Option`, a `Vec` or an array of something that serde writes as JSON, or a `Result` of
/// one of these. An error fails the job: it means that the aggregator is used wrongly.
pub trait Results {
    /// Appends them and says how many there were.
    #[doc(hidden)]
    fn write(self, values: &mut Binary) -> Result<usize, String>;
}

impl<T: Serialize> Results for Option<T> {
    fn write(self, values: &mut Binary) -> Result<usize, String> {
        write_all(self, values)
    }
}

impl<T: Serialize> Results for Vec<T> {
    fn write(self, values: &mut Binary) -> Result<usize, String> {
        write_all(self, values)
    }
}

impl<T: Serialize, const N: usize> Results for [T; N] {
    fn write(self, values: &mut Binary) -> Result<usize, String> {
        write_all(self, values)
    }
}

impl<R: Results> Results for Result<R, String> {
    fn write(self, values: &mut Binary) -> Result<usize, String> {
        self?.write(values)
    }
}

fn write_all(results: impl IntoIterator<Item: Serialize>, values: &mut Binary) -> Result<usize, String> {
    let before = values.len();
    for result in results {
        serde_json::to_writer(&mut values.bytes, &result).map_err(|error| format!("write a result: {error}"))?;
        values.close();
    }
    Ok(values.len() - before)
}

/// Makes a plugin of an [`Aggregator`]. Once per crate, in its root.
#[macro_export]
macro_rules! aggregator {
    ($type:ty) => {
        const _: () = {
            use $crate::bindings::aggregate;

            struct Component;

            impl $crate::bindings::Lifecycle for Component {
                fn describe() -> $crate::bindings::Description {
                    $crate::bindings::describe(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
                }

                fn configure(settings: String) -> Result<$crate::Needs, String> {
                    $crate::aggregator::plugin::configure::<$type>(&settings)
                }
            }

            impl aggregate::Guest for Component {
                fn accumulate(
                    accumulators: $crate::Binary,
                    groups: Vec<u32>,
                    batch: $crate::Batch,
                ) -> Result<aggregate::Accumulated, String> {
                    $crate::aggregator::plugin::call(|plugin| plugin.accumulate(&accumulators, &groups, &batch))
                }

                fn merge(accumulators: $crate::Binary, groups: Vec<u32>, count: u32) -> Result<$crate::Binary, String> {
                    $crate::aggregator::plugin::call(|plugin| plugin.merge(&accumulators, &groups, count))
                }

                fn finish(fired: aggregate::Fired) -> Result<aggregate::Finished, String> {
                    $crate::aggregator::plugin::call(|plugin| plugin.finish(&fired))
                }
            }

            // Without WebAssembly nothing calls the plugin; it is still no dead code.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn(String) -> Result<$crate::Needs, String> =
                <Component as $crate::bindings::Lifecycle>::configure;
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export_lifecycle!(Component with_types_in $crate::bindings::lifecycle);
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export_aggregation!(Component with_types_in $crate::bindings::aggregation);
        };
    };
}
