//! Windowed logic as a plugin.

#[doc(hidden)]
pub mod plugin;

use crate::{Accumulator, Binary, Failure, Fault, Key, Row, Settings, Window};
use serde::Serialize;

/// Logic over windows of keyed rows. The host decides which window and key a row belongs to, keeps the accumulators, and
/// asks for results when a window fires. The type is its settings, as with [`Transform`](crate::Transform).
///
/// ```
/// use wasmill::{Aggregator, Fields, Key, Settings, Time, Window};
///
/// #[derive(Settings)]
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
pub trait Aggregator: Settings {
    /// What it takes. If that borrows, write the lifetime as `'static` here and `'_` in `accumulate`.
    type Row: Row;
    /// What it keeps per window and key.
    type Accumulator: Accumulator;
    /// What it returns when a window fires.
    type Results: Results;

    /// The version of the layout of the accumulator. Count it up when you change its fields, and write `migrate`.
    const STATE_VERSION: u32 = 1;

    /// Refuses a row before it changes anything. Takes all rows unless written.
    fn check(&self, _row: &<Self::Row as Row>::Of<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// Adds a row.
    fn accumulate(&self, accumulator: &mut Self::Accumulator, row: <Self::Row as Row>::Of<'_>);

    /// Adds what another accumulator of the same key has collected. Sliding and session windows need it.
    fn merge(&self, into: &mut Self::Accumulator, from: Self::Accumulator);

    /// Turns the accumulator of a window that fires into results, none or several. If rows within the allowed lateness come
    /// later, it is called again with what has been collected until then.
    fn finish(&self, window: Window, key: Key<'_>, accumulator: Self::Accumulator) -> Self::Results;

    /// Reads an accumulator that an older version of the plugin wrote. Knows no older version unless written.
    fn migrate(&self, from_version: u32, _accumulator: &[u8]) -> Result<Self::Accumulator, Failure> {
        Err(crate::accumulator::unknown_version(from_version, Self::STATE_VERSION))
    }

    /// Where a field of the row is: at the pointer that it declares, unless a setting chooses another.
    fn pointer<'a>(&'a self, declared: &'a str) -> &'a str {
        declared
    }
}

/// What an aggregator may return: an `Option`, a `Vec` or an array of something that serde writes as JSON, or a `Result` of
/// one of these. An error refuses the accumulator, which leaves the pipeline with the error as its reason; a [`Failure`], by
/// itself or as a [`Fault`], fails the call.
pub trait Results {
    /// Appends them and says how many there were.
    #[doc(hidden)]
    fn write(self, values: &mut Binary) -> Result<usize, Fault>;
}

impl<T: Serialize> Results for Option<T> {
    fn write(self, values: &mut Binary) -> Result<usize, Fault> {
        write_all(self, values)
    }
}

impl<T: Serialize> Results for Vec<T> {
    fn write(self, values: &mut Binary) -> Result<usize, Fault> {
        write_all(self, values)
    }
}

impl<T: Serialize, const N: usize> Results for [T; N] {
    fn write(self, values: &mut Binary) -> Result<usize, Fault> {
        write_all(self, values)
    }
}

impl<R: Results, E: Into<Fault>> Results for Result<R, E> {
    fn write(self, values: &mut Binary) -> Result<usize, Fault> {
        self.map_err(Into::into)?.write(values)
    }
}

fn write_all(results: impl IntoIterator<Item: Serialize>, values: &mut Binary) -> Result<usize, Fault> {
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
                    $crate::describe!($type, <$type as $crate::Aggregator>::STATE_VERSION)
                }

                fn configure(settings: String) -> Result<$crate::Needs, String> {
                    $crate::aggregator::plugin::configure::<$type>(&settings)
                }

                fn migrate(
                    from_version: u32,
                    states: $crate::Binary,
                ) -> Result<$crate::Binary, $crate::bindings::Failure> {
                    $crate::aggregator::plugin::call(|plugin| plugin.migrate(from_version, &states))
                }
            }

            impl aggregate::Guest for Component {
                fn accumulate(
                    accumulators: $crate::Binary,
                    groups: Vec<u32>,
                    batch: $crate::Batch,
                ) -> Result<aggregate::Accumulated, $crate::bindings::Failure> {
                    $crate::aggregator::plugin::call(|plugin| plugin.accumulate(&accumulators, &groups, &batch))
                }

                fn merge(
                    accumulators: $crate::Binary,
                    groups: Vec<u32>,
                    count: u32,
                ) -> Result<$crate::Binary, $crate::bindings::Failure> {
                    $crate::aggregator::plugin::call(|plugin| plugin.merge(&accumulators, &groups, count))
                }

                fn finish(fired: aggregate::Fired) -> Result<aggregate::Finished, $crate::bindings::Failure> {
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
