//! Keys each trip by the hundredth of a degree in which it starts: `longitude|latitude`, both times 100, rounded down.

use wasmill::{Fields, Keyed, keyed};

#[derive(Fields)]
struct Trip {
    #[field("/pickup_longitude")]
    longitude: f64,
    #[field("/pickup_latitude")]
    latitude: f64,
}

fn cell(trip: Trip) -> Keyed<(i32, i32)> {
    keyed(((trip.longitude * 100.0).floor() as i32, (trip.latitude * 100.0).floor() as i32))
}

wasmill::transform!(cell);

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells round down on both sides of zero.
    #[test]
    fn cells_round_down() {
        assert_eq!(cell(Trip { longitude: -73.985, latitude: 40.758 }).key, (-7399, 4075));
        assert_eq!(cell(Trip { longitude: 0.001, latitude: -0.001 }).key, (0, -1));
    }
}
