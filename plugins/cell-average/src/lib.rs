//! Counts the trips of each cell of `cell-key` and averages what they cost.

use serde::{Deserialize, Serialize};
use wasmill::{Accumulator, Aggregator, Fields, Key, Time, Window};

#[derive(Deserialize)]
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

#[derive(Debug, PartialEq, Serialize)]
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

    fn accumulate(&self, amounts: &mut Amounts, trip: Trip) {
        amounts.count += 1;
        amounts.sum += trip.total_amount;
    }

    fn merge(&self, into: &mut Amounts, from: Amounts) {
        into.count += from.count;
        into.sum += from.sum;
    }

    fn finish(&self, window: Window, key: Key<'_>, amounts: Amounts) -> Self::Results {
        let (cell_lon, cell_lat) = key.parts()?;
        let Amounts { count, sum } = amounts;
        let average = sum / count as f64;
        Ok([Average { cell_lon, cell_lat, count, average, window_start: window.start, window_end: window.end }])
    }
}

wasmill::aggregator!(CellAverage);
