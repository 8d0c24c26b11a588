//! What `cell-key` does, without its fields: takes the bytes of each trip and parses the JSON itself.

use serde::Deserialize;
use wasmill::{Json, Keyed, keyed};

#[derive(Deserialize)]
struct Trip {
    pickup_longitude: f64,
    pickup_latitude: f64,
}

fn cell(Json(trip): Json<Trip>) -> Keyed<(i32, i32)> {
    keyed(((trip.pickup_longitude * 100.0).floor() as i32, (trip.pickup_latitude * 100.0).floor() as i32))
}

wasmill::transform!(cell);

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells round down on both sides of zero.
    #[test]
    fn cells_round_down() {
        let key = |pickup_longitude, pickup_latitude| cell(Json(Trip { pickup_longitude, pickup_latitude })).key;
        assert_eq!(key(-73.985, 40.758), (-7399, 4075));
        assert_eq!(key(0.001, -0.001), (0, -1));
    }
}
