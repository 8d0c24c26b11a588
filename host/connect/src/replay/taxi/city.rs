//! Where taxis go: busy places in Manhattan and Brooklyn, two airports, and now and then anywhere or a lost position.

/// A place in millionths of a degree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) longitude: i64,
    pub(super) latitude: i64,
}

/// Some receivers have no position; the files then say zero.
const LOST: Place = Place { longitude: 0, latitude: 0 };
const JFK: Spot = Spot::new(-73_778_100, 40_641_300, 1_500, 0);
const LA_GUARDIA: Spot = Spot::new(-73_874_000, 40_776_900, 1_500, 0);

const SPOTS: [Spot; 11] = [
    Spot::new(-73_985_500, 40_758_000, 4_000, 22), // Times Square
    Spot::new(-73_977_200, 40_752_700, 3_000, 16), // Grand Central
    Spot::new(-73_993_500, 40_750_600, 3_000, 14), // Penn Station
    Spot::new(-73_990_800, 40_735_900, 5_000, 12), // Union Square
    Spot::new(-73_957_100, 40_774_000, 7_000, 11), // Upper East Side
    Spot::new(-73_975_400, 40_787_000, 7_000, 9),  // Upper West Side
    Spot::new(-74_002_800, 40_723_300, 5_000, 7),  // SoHo
    Spot::new(-74_011_300, 40_707_000, 4_000, 5),  // Wall Street
    Spot::new(-73_957_100, 40_714_200, 6_000, 2),  // Williamsburg
    Spot::new(-73_990_300, 40_692_400, 6_000, 1),  // Downtown Brooklyn
    Spot::new(-73_946_500, 40_808_000, 6_000, 1),  // Harlem
];
const WEIGHT: u64 = 100;

struct Spot {
    longitude: i64,
    latitude: i64,
    /// Typical distance of a trip's end from it.
    spread: u64,
    /// How many trips in [`WEIGHT`] begin or end here.
    weight: u64,
}

impl Spot {
    const fn new(longitude: i64, latitude: i64, spread: u64, weight: u64) -> Self {
        Self { longitude, latitude, spread, weight }
    }

    fn near(&self, random: &mut Random) -> Place {
        Place {
            longitude: self.longitude + random.spread(self.spread),
            latitude: self.latitude + random.spread(self.spread),
        }
    }
}

/// Where a trip begins and ends.
pub(super) fn journey(random: &mut Random) -> (Place, Place) {
    match random.below(100) {
        0..2 => (LOST, LOST),
        2..9 => (in_town(random), LA_GUARDIA.near(random)),
        9..14 => (in_town(random), JFK.near(random)),
        14..18 => (LA_GUARDIA.near(random), in_town(random)),
        18..21 => (JFK.near(random), in_town(random)),
        _ => (in_town(random), in_town(random)),
    }
}

fn in_town(random: &mut Random) -> Place {
    if random.below(12) == 0 {
        return Place {
            longitude: -74_020_000 + random.below(240_000) as i64,
            latitude: 40_600_000 + random.below(260_000) as i64,
        };
    }
    let mut ticket = random.below(WEIGHT);
    for spot in &SPOTS {
        if ticket < spot.weight {
            return spot.near(random);
        }
        ticket -= spot.weight;
    }
    LOST
}

/// Miles on streets, which are a third longer than the straight line.
pub(super) fn miles(from: Place, to: Place) -> f64 {
    let east = (to.longitude - from.longitude) as f64 * 52.4e-6;
    let north = (to.latitude - from.latitude) as f64 * 69.0e-6;
    (east * east + north * north).sqrt() * 1.33
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the generators of the `rand` crate may change with its version.
pub(super) struct Random(u64);

impl Random {
    /// The random numbers of one trip.
    pub(super) fn new(seed: u64, trip: u64) -> Self {
        let mut of_seed = Self(seed);
        Self(of_seed.next() ^ trip.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// From 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Around 0, at most three times `scale` away, in the shape of a bell.
    fn spread(&mut self, scale: u64) -> i64 {
        (0..3).map(|_| self.below(2 * scale + 1) as i64 - scale as i64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every ticket falls on a spot.
    #[test]
    fn weights_add_up() {
        assert_eq!(SPOTS.iter().map(|spot| spot.weight).sum::<u64>(), WEIGHT);
    }
}
