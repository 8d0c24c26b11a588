//! Counts the trips of each cell of `cell-key` and averages what they cost.

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

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill::Pane;

    const WINDOW: Window = Window { start: Time(0), end: Time(600_000), pane: Pane::OnTime };

    /// Amounts of merged accumulators are averaged together, in the cell that the key names.
    #[test]
    fn averages_by_cell() {
        let (mut amounts, mut more) = (Amounts::default(), Amounts::default());
        CellAverage {}.accumulate(&mut amounts, Trip { total_amount: 10.0 });
        CellAverage {}.accumulate(&mut more, Trip { total_amount: 20.0 });
        CellAverage {}.accumulate(&mut more, Trip { total_amount: 30.0 });
        CellAverage {}.merge(&mut amounts, more);
        let expected = Average {
            cell_lon: -7399,
            cell_lat: 4075,
            count: 3,
            average: 20.0,
            window_start: Time(0),
            window_end: Time(600_000),
        };
        assert_eq!(CellAverage {}.finish(WINDOW, Key::new(b"-7399|4075"), amounts), Ok([expected]));
    }

    /// Behind another transform than `cell-key` there is no cell in the key: that is an error that shows it.
    #[test]
    fn foreign_keys() {
        let error = CellAverage {}.finish(WINDOW, Key::new(b"dr5ru7"), Amounts::default()).expect_err("a bad key");
        assert!(error.contains("dr5ru7"), "{error}");
    }
}
