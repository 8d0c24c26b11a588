//! The third version of `cell-average`, see `plugins/versions/README.md`: it also tells the greatest amount that it has seen.

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
    count: u64,
    sum: f64,
    /// `None`: what was seen before this version is not known any more.
    greatest: Option<f64>,
    versions: Vec<u8>,
}

impl Default for Amounts {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, greatest: None, versions: vec![3] }
    }
}

/// The state of the second version.
#[derive(Default, Serialize, Deserialize)]
struct Second {
    versions: Vec<u8>,
    sum: f64,
    count: u64,
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
    greatest: Option<f64>,
    versions: Vec<u8>,
    window_start: Time,
    window_end: Time,
}

impl Aggregator for CellAverage {
    type Row = Trip;
    type Accumulator = Amounts;
    type Results = Result<[Average; 1], String>;
    const STATE_VERSION: u32 = 3;

    fn accumulate(&self, amounts: &mut Amounts, Trip { total_amount }: Trip) {
        amounts.count += 1;
        amounts.sum += total_amount;
        amounts.greatest = Some(amounts.greatest.map_or(total_amount, |greatest| greatest.max(total_amount)));
    }

    fn merge(&self, into: &mut Amounts, from: Amounts) {
        into.count += from.count;
        into.sum += from.sum;
        into.greatest = [into.greatest, from.greatest].into_iter().flatten().reduce(f64::max);
        into.versions = into.versions.iter().chain(&from.versions).copied().collect();
        into.versions.sort_unstable();
        into.versions.dedup();
    }

    fn finish(&self, window: Window, key: Key<'_>, amounts: Amounts) -> Self::Results {
        let (cell_lon, cell_lat) = key.parts()?;
        let Amounts { count, sum, greatest, versions } = amounts;
        let (average, window_start, window_end) = (sum / count as f64, window.start, window.end);
        Ok([Average { cell_lon, cell_lat, count, average, greatest, versions, window_start, window_end }])
    }

    fn migrate(&self, from_version: u32, accumulator: &[u8]) -> Result<Amounts, Failure> {
        let (count, sum, mut versions) = match from_version {
            1 => {
                let First { count, sum } = First::decode(accumulator)?;
                (count, sum, vec![1])
            }
            2 => {
                let Second { versions, sum, count } = Second::decode(accumulator)?;
                (count, sum, versions)
            }
            _ => return Err(Failure::fatal(format!("version {from_version} is not known"))),
        };
        versions.push(3);
        Ok(Amounts { count, sum, greatest: None, versions })
    }
}

wasmill::aggregator!(CellAverage);

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(state: &impl Accumulator) -> Vec<u8> {
        let mut bytes = Vec::new();
        state.encode(&mut bytes).expect("numbers");
        bytes
    }

    /// States of both versions before keep count, sum and origin; one of another version is refused.
    #[test]
    fn migrations() {
        let expected = |versions: &[u8]| Amounts { count: 3, sum: 1.5, greatest: None, versions: versions.to_vec() };
        let first = bytes(&First { count: 3, sum: 1.5 });
        assert_eq!(CellAverage {}.migrate(1, &first), Ok(expected(&[1, 3])));
        let second = bytes(&Second { versions: vec![1, 2], sum: 1.5, count: 3 });
        assert_eq!(CellAverage {}.migrate(2, &second), Ok(expected(&[1, 2, 3])));
        assert_eq!(CellAverage {}.migrate(4, &second), Err(Failure::fatal("version 4 is not known")));
        assert!(CellAverage {}.migrate(2, &first).is_err(), "of the right version, but not its bytes");
    }

    /// The greatest amount of what this version has seen.
    #[test]
    fn greatest_amounts() {
        let mut amounts = Amounts::default();
        for total_amount in [-2.0, -1.0, -3.0] {
            CellAverage {}.accumulate(&mut amounts, Trip { total_amount });
        }
        CellAverage {}.merge(&mut amounts, Amounts { greatest: None, versions: vec![1, 3], ..Amounts::default() });
        assert_eq!(amounts, Amounts { count: 3, sum: -6.0, greatest: Some(-1.0), versions: vec![1, 3] });
    }
}
