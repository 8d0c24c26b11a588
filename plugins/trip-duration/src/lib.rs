//! How long the trips to an airport take, by where they start. Windows with a single trip are left out. Durations are summed
//! in whole milliseconds, so that the order of the rows cannot change the result.

use serde::Serialize;
use wasmill::{Accumulator, Aggregator, Fields, Key, Settings, Time, Window};

#[derive(Settings)]
struct TripDuration {}

#[derive(Fields)]
struct Trip {
    #[field("/pickup_datetime|/tpep_pickup_datetime")]
    pickup: Time,
    #[field("/dropoff_datetime|/tpep_dropoff_datetime")]
    dropoff: Time,
}

#[derive(Default, Accumulator)]
struct Trips {
    count: u64,
    millis: i64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Durations {
    location: String,
    airport: String,
    trips: u64,
    /// Minutes.
    sum_trip_duration: f64,
    /// Minutes.
    avg_trip_duration: f64,
    window_start: Time,
    window_end: Time,
    timestamp: Time,
}

impl Aggregator for TripDuration {
    type Row = Trip;
    type Accumulator = Trips;
    type Results = Result<Option<Durations>, String>;

    fn accumulate(&self, trips: &mut Trips, trip: Trip) {
        trips.count += 1;
        trips.millis += trip.dropoff - trip.pickup;
    }

    fn merge(&self, into: &mut Trips, from: Trips) {
        into.count += from.count;
        into.millis += from.millis;
    }

    fn finish(&self, window: Window, key: Key<'_>, trips: Trips) -> Self::Results {
        let (location, airport) = key.parts()?;
        let minutes = trips.millis as f64 / 60_000.0;
        Ok((trips.count > 1).then(|| Durations {
            location,
            airport,
            trips: trips.count,
            sum_trip_duration: minutes,
            avg_trip_duration: minutes / trips.count as f64,
            window_start: window.start,
            window_end: window.end,
            timestamp: window.last(),
        }))
    }
}

wasmill::aggregator!(TripDuration);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill::Pane;

    const WINDOW: Window = Window { start: Time(0), end: Time(600_000), pane: Pane::OnTime };

    fn trips(minutes: &[i64]) -> Trips {
        let mut trips = Trips::default();
        for minutes in minutes {
            TripDuration {}.accumulate(&mut trips, Trip { pickup: Time(5), dropoff: Time(5 + minutes * 60_000) });
        }
        trips
    }

    /// Durations of merged accumulators add up; the average is over all their trips.
    #[test]
    fn sums_and_averages() {
        let mut all = trips(&[30, 40]);
        TripDuration {}.merge(&mut all, trips(&[50]));
        let result = TripDuration {}.finish(WINDOW, Key::new(b"dr5ru7|JFK"), all).expect("a good key");
        let result = result.expect("three trips");
        assert_eq!((result.location.as_str(), result.airport.as_str(), result.trips), ("dr5ru7", "JFK", 3));
        assert_eq!((result.sum_trip_duration, result.avg_trip_duration), (120.0, 40.0));
        assert_eq!(result.timestamp, Time(599_999));
    }

    /// One trip is no result, and a key of another transform is an error that names it.
    #[test]
    fn lone_trips_and_foreign_keys() {
        assert_eq!(TripDuration {}.finish(WINDOW, Key::new(b"dr5ru7|JFK"), trips(&[30])), Ok(None));
        let error = TripDuration {}.finish(WINDOW, Key::new(b"dr5ru7"), trips(&[30, 40])).expect_err("a bad key");
        assert!(error.contains("dr5ru7"), "{error}");
    }
}
