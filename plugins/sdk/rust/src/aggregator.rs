//! Windowed logic as a plugin.

use crate::bindings::Needs;
use crate::bindings::aggregate as wire;
use crate::row::Fields;
use crate::{Accumulator, Batch, Binary, Key, Pane, Reject, Row, Time, Window, log, settings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;

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
                    $crate::aggregator::configure::<$type>(&settings)
                }
            }

            impl aggregate::Guest for Component {
                fn accumulate(
                    accumulators: $crate::Binary,
                    groups: Vec<u32>,
                    batch: $crate::Batch,
                ) -> Result<aggregate::Accumulated, String> {
                    $crate::aggregator::call(|plugin| plugin.accumulate(&accumulators, &groups, &batch))
                }

                fn merge(accumulators: $crate::Binary, groups: Vec<u32>, count: u32) -> Result<$crate::Binary, String> {
                    $crate::aggregator::call(|plugin| plugin.merge(&accumulators, &groups, count))
                }

                fn finish(fired: aggregate::Fired) -> Result<aggregate::Finished, String> {
                    $crate::aggregator::call(|plugin| plugin.finish(&fired))
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

/// A configured aggregator.
#[doc(hidden)]
pub trait Plugin {
    fn accumulate(&self, accumulators: &Binary, groups: &[u32], batch: &Batch) -> Result<wire::Accumulated, String>;
    fn merge(&self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Binary, String>;
    fn finish(&self, fired: &wire::Fired) -> Result<wire::Finished, String>;
}

thread_local! {
    /// The plugin of this instance, set by `configure`.
    static PLUGIN: RefCell<Option<Box<dyn Plugin>>> = const { RefCell::new(None) };
}

#[doc(hidden)]
pub fn configure<T: Aggregator>(settings: &str) -> Result<Needs, String> {
    log::report_panics();
    PLUGIN.set(Some(Box::new(OfRows(settings::parse::<T>(settings)?))));
    let mut fields = Vec::new();
    T::Row::declare(&mut fields);
    Ok(Needs { fields, reads_values: T::Row::READS_VALUES, writes_values: true })
}

#[doc(hidden)]
pub fn call<R>(call: impl FnOnce(&dyn Plugin) -> Result<R, String>) -> Result<R, String> {
    PLUGIN.with_borrow(|plugin| call(plugin.as_deref().ok_or("a call came before configure")?))
}

struct OfRows<T>(T);

impl<T: Aggregator> Plugin for OfRows<T> {
    fn accumulate(&self, accumulators: &Binary, groups: &[u32], batch: &Batch) -> Result<wire::Accumulated, String> {
        let mut states = accumulators.iter().map(decode::<T>).collect::<Result<Vec<_>, _>>()?;
        let mut reader = T::Row::open(batch, &mut Fields::of(batch))?;
        let mut rejects = Vec::new();
        for (row, &group) in groups.iter().enumerate() {
            let checked = T::Row::read(&mut reader, row).and_then(|read| self.0.check(&read).map(|()| read));
            match checked {
                Ok(read) => self.0.accumulate(&mut states[group as usize], read),
                Err(Reject { reason, .. }) => rejects.push(Reject { row: row as u32, reason }),
            }
        }
        let mut column = Binary::with_capacity(states.len(), accumulators.bytes.len());
        for state in &states {
            state.encode(&mut column.bytes)?;
            column.close();
        }
        Ok(wire::Accumulated { accumulators: column, rejects })
    }

    fn merge(&self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Binary, String> {
        let mut merged: Vec<Option<T::Accumulator>> = (0..count).map(|_| None).collect();
        for (bytes, &group) in accumulators.iter().zip(groups) {
            let from = decode::<T>(bytes)?;
            match &mut merged[group as usize] {
                Some(into) => self.0.merge(into, from),
                empty => *empty = Some(from),
            }
        }
        let mut column = Binary::with_capacity(merged.len(), accumulators.bytes.len());
        for state in merged {
            state.unwrap_or_default().encode(&mut column.bytes)?;
            column.close();
        }
        Ok(column)
    }

    fn finish(&self, fired: &wire::Fired) -> Result<wire::Finished, String> {
        let wire::Fired { starts, ends, panes, keys, accumulators } = fired;
        let mut values = Binary::with_capacity(starts.len(), starts.len() * 128);
        let mut origins = Vec::with_capacity(starts.len());
        let mut one_each = true;
        for at in 0..starts.len() {
            let pane = if panes[at] == wire::Pane::Late { Pane::Late } else { Pane::OnTime };
            let window = Window { start: Time(starts[at]), end: Time(ends[at]), pane };
            let state = decode::<T>(accumulators.get(at))?;
            let results = self.0.finish(window, Key::new(keys.get(at)), state).write(&mut values)?;
            origins.extend(std::iter::repeat_n(at as u32, results));
            one_each &= results == 1;
        }
        Ok(wire::Finished { origins: (!one_each).then_some(origins), values })
    }
}

/// No bytes are a fresh accumulator.
#[inline]
fn decode<T: Aggregator>(bytes: &[u8]) -> Result<T::Accumulator, String> {
    if bytes.is_empty() { Ok(T::Accumulator::default()) } else { T::Accumulator::decode(bytes) }
}

#[cfg(test)]
mod tests;
