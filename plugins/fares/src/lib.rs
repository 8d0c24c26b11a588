//! What trips cost on average, per minute: the plugin of `examples/hot-swap`, which is edited while it runs.

use serde::Serialize;
use wasmill::{Accumulator, Aggregator, Fields, Key, Settings, Time, Window};

/// What fares are told in, and how much of it a dollar is.
const CURRENCY: (&str, f64) = ("dollar", 1.0);

#[derive(Settings)]
struct Fares {}

#[derive(Fields)]
struct Trip {
    total_amount: f64,
}

#[derive(Default, Accumulator)]
struct Dollars {
    trips: u64,
    sum: f64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Average {
    minute: Time,
    trips: u64,
    average: f64,
    currency: &'static str,
}

impl Aggregator for Fares {
    type Row = Trip;
    type Accumulator = Dollars;
    type Results = [Average; 1];

    fn accumulate(&self, dollars: &mut Dollars, trip: Trip) {
        dollars.trips += 1;
        dollars.sum += trip.total_amount;
    }

    fn merge(&self, into: &mut Dollars, from: Dollars) {
        into.trips += from.trips;
        into.sum += from.sum;
    }

    fn finish(&self, window: Window, _key: Key<'_>, Dollars { trips, sum }: Dollars) -> Self::Results {
        let (currency, rate) = CURRENCY;
        let average = (sum / trips as f64 * rate * 100.0).round() / 100.0;
        [Average { minute: window.start, trips, average, currency }]
    }
}

wasmill::aggregator!(Fares);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill::Pane;

    /// Fares of merged accumulators are averaged together, to the cent.
    #[test]
    fn averages() {
        let (mut dollars, mut more) = (Dollars::default(), Dollars::default());
        Fares {}.accumulate(&mut dollars, Trip { total_amount: 1.0 });
        Fares {}.accumulate(&mut more, Trip { total_amount: 2.0 });
        Fares {}.accumulate(&mut more, Trip { total_amount: 2.0 });
        Fares {}.merge(&mut dollars, more);
        let window = Window { start: Time(60_000), end: Time(120_000), pane: Pane::OnTime };
        let [average] = Fares {}.finish(window, Key::new(b""), dollars);
        assert_eq!((average.minute, average.trips), (Time(60_000), 3));
        assert!((average.average - 1.67 * CURRENCY.1).abs() < 0.01, "{average:?}");
    }
}
