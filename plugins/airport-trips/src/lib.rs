//! Keeps the trips within the city that end at an airport, and keys them by the geohash of where they start and the airport.

use taxi_zones::{Airport, Cell, in_city};
use wasmill::{Fields, Keyed, keyed};

#[derive(Fields)]
struct Trip {
    pickup_longitude: f64,
    pickup_latitude: f64,
    dropoff_longitude: f64,
    dropoff_latitude: f64,
}

fn airport_trips(trip: Trip) -> Option<Keyed<(Cell, &'static str)>> {
    let pickup = in_city(trip.pickup_longitude, trip.pickup_latitude)?;
    let dropoff = in_city(trip.dropoff_longitude, trip.dropoff_latitude)?;
    Some(keyed((pickup, Airport::of(dropoff)?.code())))
}

wasmill::transform!(airport_trips);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill::ToKey;

    fn key(pickup: (f64, f64), dropoff: (f64, f64)) -> Option<String> {
        let trip = Trip {
            pickup_longitude: pickup.0,
            pickup_latitude: pickup.1,
            dropoff_longitude: dropoff.0,
            dropoff_latitude: dropoff.1,
        };
        let mut bytes = Vec::new();
        airport_trips(trip)?.key.write(&mut bytes);
        String::from_utf8(bytes).ok()
    }

    /// Trips to an airport are keyed by start and airport; trips from one, and from out of town, are dropped.
    #[test]
    fn only_trips_to_airports() {
        let (square, jfk, lga) = ((-73.985, 40.758), (-73.7781, 40.6413), (-73.874, 40.7769));
        assert_eq!(key(square, jfk).as_deref(), Some("dr5ru7|JFK"));
        assert_eq!(key(square, lga).as_deref(), Some("dr5ru7|LGA"));
        assert_eq!(key(jfk, square), None);
        assert_eq!(key((-71.06, 42.36), jfk), None);
    }
}
