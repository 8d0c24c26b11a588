//! The second version of `cell-average`, see `plugins/versions/README.md`: results also say which versions their window has
//! been through.

use serde::{Deserialize, Serialize};
use wasmill::{Accumulator, Aggregator, Failure, Fields, Key, Settings, Time, Window};

#[derive(Settings)]
struct CellAverage {}

#[derive(Fields)]
struct Trip {
    total_amount: f64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Amounts {
    versions: Vec<u8>,
    sum: f64,
    count: u64,
}

impl Default for Amounts {
    fn default() -> Self {
        Self { versions: vec![2], sum: 0.0, count: 0 }
    }
}

/// The state of the first version.
#[derive(Default, Accumulator)]
struct First {
    count: u64,
    sum: f64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Average {
    cell_lon: i32,
    cell_lat: i32,
    count: u64,
    average: f64,
    versions: Vec<u8>,
    window_start: Time,
    window_end: Time,
}

impl Aggregator for CellAverage {
    type Row = Trip;
    type Accumulator = Amounts;
    type Results = Result<[Average; 1], String>;
    const STATE_VERSION: u32 = 2;

    fn accumulate(&self, amounts: &mut Amounts, trip: Trip) {
        amounts.count += 1;
        amounts.sum += trip.total_amount;
    }

    fn merge(&self, into: &mut Amounts, from: Amounts) {
        into.count += from.count;
        into.sum += from.sum;
        into.versions = into.versions.iter().chain(&from.versions).copied().collect();
        into.versions.sort_unstable();
        into.versions.dedup();
    }

    fn finish(&self, window: Window, key: Key<'_>, Amounts { versions, sum, count }: Amounts) -> Self::Results {
        let (cell_lon, cell_lat) = key.parts()?;
        let (average, window_start, window_end) = (sum / count as f64, window.start, window.end);
        Ok([Average { cell_lon, cell_lat, count, average, versions, window_start, window_end }])
    }

    fn migrate(&self, from_version: u32, accumulator: &[u8]) -> Result<Amounts, Failure> {
        if from_version != 1 {
            return Err(Failure::fatal(format!("version {from_version} is not known")));
        }
        let First { count, sum } = First::decode(accumulator)?;
        Ok(Amounts { versions: vec![1, 2], sum, count })
    }
}

wasmill::aggregator!(CellAverage);

#[cfg(test)]
mod tests {
    use super::*;

    /// A state of the first version keeps count and sum, and its origin; one of another version is refused.
    #[test]
    fn migration() {
        let mut bytes = Vec::new();
        First { count: 3, sum: 1.5 }.encode(&mut bytes).expect("plain numbers");
        assert_eq!(CellAverage {}.migrate(1, &bytes), Ok(Amounts { versions: vec![1, 2], sum: 1.5, count: 3 }));
        assert_eq!(CellAverage {}.migrate(3, &bytes), Err(Failure::fatal("version 3 is not known")));
        assert!(CellAverage {}.migrate(1, &bytes[1..]).is_err());
    }

    /// Merged states have been through the versions of both.
    #[test]
    fn merged_origins() {
        let mut amounts = Amounts { versions: vec![1, 2], sum: 1.0, count: 1 };
        CellAverage {}.merge(&mut amounts, Amounts { sum: 2.0, count: 1, ..Amounts::default() });
        assert_eq!(amounts, Amounts { versions: vec![1, 2], sum: 3.0, count: 2 });
    }
}
