//! Counts the trips that start in each cell. Cells with a single trip in a window are left out.

use serde::Serialize;
use wasmill::{Accumulator, Aggregator, Key, Settings, Time, Window};

#[derive(Settings)]
struct PickupCount {}

#[derive(Default, Accumulator)]
struct Trips {
    count: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Pickups {
    location: String,
    pickup_count: u64,
    window_start: Time,
    window_end: Time,
    timestamp: Time,
}

impl Aggregator for PickupCount {
    type Row = ();
    type Accumulator = Trips;
    type Results = Option<Pickups>;

    fn accumulate(&self, trips: &mut Trips, _trip: ()) {
        trips.count += 1;
    }

    fn merge(&self, into: &mut Trips, from: Trips) {
        into.count += from.count;
    }

    fn finish(&self, window: Window, key: Key<'_>, trips: Trips) -> Option<Pickups> {
        (trips.count >= 2).then(|| Pickups {
            location: key.text().into_owned(),
            pickup_count: trips.count,
            window_start: window.start,
            window_end: window.end,
            timestamp: window.last(),
        })
    }
}

wasmill::aggregator!(PickupCount);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill::Pane;

    /// Two trips, counted apart and merged, are a result; one is none.
    #[test]
    fn from_two_trips_on() {
        let window = Window { start: Time(1_356_998_400_000), end: Time(1_356_999_000_000), pane: Pane::OnTime };
        let one = || {
            let mut trips = Trips::default();
            PickupCount {}.accumulate(&mut trips, ());
            trips
        };
        assert_eq!(PickupCount {}.finish(window, Key::new(b"dr5ru7"), one()), None);

        let mut two = one();
        PickupCount {}.merge(&mut two, one());
        let result = PickupCount {}.finish(window, Key::new(b"dr5ru7"), two);
        let expected = Pickups {
            location: "dr5ru7".into(),
            pickup_count: 2,
            window_start: Time(1_356_998_400_000),
            window_end: Time(1_356_999_000_000),
            timestamp: Time(1_356_998_999_999),
        };
        assert_eq!(result, Some(expected));
    }
}
