//! Geohashes of six characters as integer coordinates: 15 bits of longitude and 15 of latitude, interleaved in the text.

use wasmill::ToKey;

const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
const BITS: u32 = 15;
const SIDE: u32 = 1 << BITS;

/// A geohash cell of six characters, 1.2 by 0.6 km.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    longitude: u32,
    latitude: u32,
}

impl Cell {
    /// The cell of a place, if there is such a place.
    #[inline]
    pub fn at(longitude: f64, latitude: f64) -> Option<Self> {
        Some(Self { longitude: coordinate(longitude, 180.0)?, latitude: coordinate(latitude, 90.0)? })
    }

    /// Its text.
    #[inline]
    pub fn geohash(self) -> [u8; 6] {
        let bits = spread(self.longitude) << 1 | spread(self.latitude);
        std::array::from_fn(|place| ALPHABET[(bits >> (25 - 5 * place) & 31) as usize])
    }
}

impl ToKey for Cell {
    #[inline]
    fn write(&self, bytes: &mut Vec<u8>) {
        self.geohash().write(bytes);
    }
}

/// In which of `SIDE` equal parts of `-limit..limit` a number lies. The upper limit belongs to the last part.
#[inline]
fn coordinate(degrees: f64, limit: f64) -> Option<u32> {
    // A part has 4,096 grains. Rounding can only mislead in the first and the last of them.
    let fine = ((degrees + limit) * (f64::from(SIDE * 4096) / (2.0 * limit))) as i32 as u32;
    let is_clear = (1..4095).contains(&(fine % 4096)) && fine < SIDE * 4096;
    if is_clear { Some(fine / 4096) } else { exact_coordinate(degrees, limit) }
}

/// The same for numbers near the bounds of the parts, which are exact: the sum above may have been rounded up to one.
#[cold]
fn exact_coordinate(degrees: f64, limit: f64) -> Option<u32> {
    if !(-limit..=limit).contains(&degrees) {
        return None;
    }
    let width = 2.0 * limit / f64::from(SIDE);
    let part = ((degrees + limit) / width) as u32;
    let start = f64::from(part) * width - limit;
    Some(if degrees < start { part - 1 } else { part.min(SIDE - 1) })
}

/// Moves bit `i` to bit `2 i`.
#[inline]
fn spread(coordinate: u32) -> u32 {
    let bits = (coordinate | coordinate << 8) & 0x00ff_00ff;
    let bits = (bits | bits << 4) & 0x0f0f_0f0f;
    let bits = (bits | bits << 2) & 0x3333_3333;
    (bits | bits << 1) & 0x5555_5555
}

/// A geohash of up to six characters with its eight neighbours, as a range of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    west: u32,
    south: u32,
    width: u32,
    height: u32,
}

impl Block {
    /// The block around a geohash that does not touch a pole or the date line. Panics on other characters, which in a
    /// constant is a compile error.
    pub const fn around(geohash: &str) -> Self {
        let text = geohash.as_bytes();
        let (mut longitude, mut latitude) = (0, 0);
        let mut at = 0;
        while at < text.len() * 5 {
            let bit = digit(text[at / 5]) >> (4 - at % 5) & 1;
            if at % 2 == 0 {
                longitude = longitude << 1 | bit;
            } else {
                latitude = latitude << 1 | bit;
            }
            at += 1;
        }
        let (columns, rows) = (BITS - (at as u32).div_ceil(2), BITS - at as u32 / 2);
        Self { west: (longitude - 1) << columns, south: (latitude - 1) << rows, width: 3 << columns, height: 3 << rows }
    }

    /// Whether a cell lies in it.
    #[inline]
    pub fn contains(self, cell: Cell) -> bool {
        // Below the lower bound the difference wraps round to a huge number.
        cell.longitude.wrapping_sub(self.west) < self.width && cell.latitude.wrapping_sub(self.south) < self.height
    }
}

const fn digit(character: u8) -> u32 {
    let mut value = 0;
    while ALPHABET[value] != character {
        value += 1;
    }
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Geohashes by the definition: halve the world, take the half that the place is in, five halvings to a character.
    fn by_halving(longitude: f64, latitude: f64) -> String {
        let (mut lon, mut lat) = ((-180.0, 180.0), (-90.0, 90.0));
        let mut text = String::new();
        for character in 0..6 {
            let mut value = 0;
            for bit in 0..5 {
                let even = (character * 5 + bit) % 2 == 0;
                let (range, place) = if even { (&mut lon, longitude) } else { (&mut lat, latitude) };
                let middle = (range.0 + range.1) / 2.0;
                value = value * 2 + usize::from(place >= middle);
                *range = if place >= middle { (middle, range.1) } else { (range.0, middle) };
            }
            text.push(char::from(ALPHABET[value]));
        }
        text
    }

    fn text(longitude: f64, latitude: f64) -> String {
        let cell = Cell::at(longitude, latitude).expect("a place on Earth");
        String::from_utf8(cell.geohash().to_vec()).expect("geohashes are ASCII")
    }

    /// Known places have their published geohashes.
    #[test]
    fn known_places() {
        assert_eq!(text(-73.985, 40.758), "dr5ru7");
        assert_eq!(text(10.40744, 57.64911), "u4pruy");
        assert_eq!(text(-5.6, 42.6), "ezs42e");
        assert_eq!(text(180.0, 90.0), "zzzzzz");
        assert_eq!(text(-180.0, -90.0), "000000");
    }

    /// On a grid over the world, on bounds of cells and next to them, cells are those of the definition.
    #[test]
    fn cells_follow_the_definition() {
        let mut places: Vec<_> =
            (0..2000).map(|n| (f64::from(n) * 0.179_99 - 179.9, f64::from(n) * 0.089_97 - 89.9)).collect();
        for part in (0..SIDE).step_by(97) {
            let (lon, lat) = (f64::from(part) * 360.0 / 32768.0 - 180.0, f64::from(part) * 180.0 / 32768.0 - 90.0);
            places.extend([(lon, lat), (lon.next_up(), lat.next_up())]);
            if part > 0 {
                places.push((lon.next_down(), lat.next_down()));
            }
        }
        for (longitude, latitude) in places {
            assert_eq!(text(longitude, latitude), by_halving(longitude, latitude), "{longitude} {latitude}");
        }
    }

    /// A block holds the cells of its geohash and of the eight around it, and ends where they end.
    #[test]
    fn blocks_hold_the_neighbours() {
        let (lon, lat) = (-73.985, 40.758);
        let (width, height) = (360.0 / 32768.0, 180.0 / 32768.0);
        let block = Block::around(&text(lon, lat));
        for dx in -2..=2_i32 {
            for dy in -2..=2_i32 {
                let place = (lon + f64::from(dx) * width, lat + f64::from(dy) * height);
                let cell = Cell::at(place.0, place.1).expect("a place on Earth");
                assert_eq!(block.contains(cell), dx.abs() <= 1 && dy.abs() <= 1, "{dx} {dy}");
            }
        }
    }
}
