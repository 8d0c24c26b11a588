//! A fourth version of `cell-average`, see `plugins/versions/README.md`, whose author counted up the version of the state and
//! forgot `migrate`.

use serde::Serialize;
use wasmill::{Accumulator, Aggregator, Fields, Key, Settings, Time, Window};

#[derive(Settings)]
struct CellAverage {}

#[derive(Fields)]
struct Trip {
    total_amount: f64,
}

#[derive(Default, Accumulator)]
struct Amounts {
    count: u64,
    sum: f64,
}

#[derive(Serialize)]
struct Average {
    cell_lon: i32,
    cell_lat: i32,
    count: u64,
    average: f64,
    window_start: Time,
    window_end: Time,
}

impl Aggregator for CellAverage {
    type Row = Trip;
    type Accumulator = Amounts;
    type Results = Result<[Average; 1], String>;
    const STATE_VERSION: u32 = 4;

    fn accumulate(&self, amounts: &mut Amounts, trip: Trip) {
        amounts.count += 1;
        amounts.sum += trip.total_amount;
    }

    fn merge(&self, into: &mut Amounts, from: Amounts) {
        into.count += from.count;
        into.sum += from.sum;
    }

    fn finish(&self, window: Window, key: Key<'_>, Amounts { count, sum }: Amounts) -> Self::Results {
        let (cell_lon, cell_lat) = key.parts()?;
        let average = sum / count as f64;
        Ok([Average { cell_lon, cell_lat, count, average, window_start: window.start, window_end: window.end }])
    }
}

wasmill::aggregator!(CellAverage);

#[cfg(test)]
mod tests {
    use super::*;

    /// No state of another version is understood.
    #[test]
    fn nothing_migrates() {
        for version in 1..4 {
            assert!(CellAverage {}.migrate(version, &[0; 16]).is_err(), "{version}");
        }
    }
}
