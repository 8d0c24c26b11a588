//! Keeps the trips that start and end in the city, and keys them by the geohash of where they start.

use taxi_zones::{Cell, in_city};
use wasmill::{Fields, Keyed, keyed};

#[derive(Fields)]
struct Trip {
    pickup_longitude: f64,
    pickup_latitude: f64,
    dropoff_longitude: f64,
    dropoff_latitude: f64,
}

fn pickup_cell(trip: Trip) -> Option<Keyed<Cell>> {
    let pickup = in_city(trip.pickup_longitude, trip.pickup_latitude)?;
    in_city(trip.dropoff_longitude, trip.dropoff_latitude)?;
    Some(keyed(pickup))
}

wasmill::transform!(pickup_cell);

#[cfg(test)]
mod tests {
    use super::*;

    /// A trip within the city gets the cell of its start; it is dropped if either end lies outside.
    #[test]
    fn both_ends_count() {
        let trip = |pickup_longitude, dropoff_longitude| Trip {
            pickup_longitude,
            pickup_latitude: 40.758,
            dropoff_longitude,
            dropoff_latitude: 40.73,
        };
        let key = pickup_cell(trip(-73.985, -73.99)).map(|row| row.key.geohash());
        assert_eq!(key.as_ref().map(|key| &key[..]), Some(&b"dr5ru7"[..]));
        assert!(pickup_cell(trip(-73.985, -71.0)).is_none());
        assert!(pickup_cell(trip(0.0, -73.99)).is_none());
    }
}
