//! Geohashes by their definition: halve the world again and again, alternately by longitude and latitude, five bits a letter.

const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// The rectangle of a geohash.
struct Cell {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

/// The geohash of a place, with so many letters.
pub fn encode(longitude: f64, latitude: f64, letters: usize) -> String {
    let mut cell = Cell { longitude: (-180.0, 180.0), latitude: (-90.0, 90.0) };
    let mut hash = String::new();
    let mut bits = 0..;
    for _ in 0..letters {
        let mut letter = 0;
        for bit in bits.by_ref().take(5) {
            let (range, value) =
                if bit % 2 == 0 { (&mut cell.longitude, longitude) } else { (&mut cell.latitude, latitude) };
            letter = letter * 2 + usize::from(halve(range, |middle| value >= middle));
        }
        hash.push(char::from(ALPHABET[letter]));
    }
    hash
}

/// A geohash and the eight cells of the same size around it.
pub fn with_neighbours(hash: &str) -> Vec<String> {
    let Cell { longitude: (west, east), latitude: (south, north) } = decode(hash);
    let mut all = Vec::new();
    for row in [-1.0, 0.0, 1.0] {
        for column in [-1.0, 0.0, 1.0] {
            let longitude = (west + east) / 2.0 + column * (east - west);
            let latitude = (south + north) / 2.0 + row * (north - south);
            all.push(encode(longitude, latitude, hash.len()));
        }
    }
    all
}

fn decode(hash: &str) -> Cell {
    let mut cell = Cell { longitude: (-180.0, 180.0), latitude: (-90.0, 90.0) };
    let letters = hash.bytes().map(|letter| ALPHABET.iter().position(|other| *other == letter).expect("a geohash"));
    let bits = letters.flat_map(|letter| (0..5).rev().map(move |bit| letter >> bit & 1 == 1));
    for (at, upper) in bits.enumerate() {
        let range = if at % 2 == 0 { &mut cell.longitude } else { &mut cell.latitude };
        halve(range, |_| upper);
    }
    cell
}

/// Keeps the upper or the lower half of a range; says which.
fn halve(range: &mut (f64, f64), upper: impl FnOnce(f64) -> bool) -> bool {
    let middle = (range.0 + range.1) / 2.0;
    let upper = upper(middle);
    *range = if upper { (middle, range.1) } else { (range.0, middle) };
    upper
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published examples come out, and the cells around Manhattan's are those on every map of geohashes.
    #[test]
    fn published_examples() {
        assert_eq!(encode(10.40744, 57.64911, 11), "u4pruydqqvj");
        assert_eq!(encode(-5.6, 42.6, 5), "ezs42");
        let around = with_neighbours("dr72");
        assert_eq!(around, ["dr5p", "dr5r", "dr5x", "dr70", "dr72", "dr78", "dr71", "dr73", "dr79"]);
    }
}
