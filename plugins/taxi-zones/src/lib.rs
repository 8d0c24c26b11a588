//! Geohash cells of New York, for the plugins of the taxi pipeline. A cell is a pair of integers, so that being near a place
//! is four comparisons; the neighbourhoods are worked out by the compiler.

mod geohash;

pub use geohash::{Block, Cell};

/// `dr72` and its eight neighbours: a trip counts if it starts and ends here.
const CITY: Block = Block::around("dr72");
const JFK: Block = Block::around("dr5x0z");
const LGA: [Block; 3] = [Block::around("dr5ryy"), Block::around("dr5rzn"), Block::around("dr5rzj")];

/// The cell of a place in the city. `None` outside, and for the zeros and typing errors of broken taximeters.
pub fn in_city(longitude: f64, latitude: f64) -> Option<Cell> {
    Cell::at(longitude, latitude).filter(|&cell| CITY.contains(cell))
}

/// An airport that trips end at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Airport {
    /// John F. Kennedy.
    Jfk,
    /// LaGuardia.
    Lga,
}

impl Airport {
    /// The airport that this cell belongs to.
    pub fn of(cell: Cell) -> Option<Self> {
        if JFK.contains(cell) {
            Some(Self::Jfk)
        } else if LGA.iter().any(|block| block.contains(cell)) {
            Some(Self::Lga)
        } else {
            None
        }
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Jfk => "JFK",
            Self::Lga => "LGA",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Manhattan and both airports are in the city, Philadelphia and a dead taximeter are not.
    #[test]
    fn the_city_has_bounds() {
        for (longitude, latitude) in [(-73.985, 40.758), (-73.7781, 40.6413), (-73.874, 40.7769)] {
            assert!(in_city(longitude, latitude).is_some(), "{longitude} {latitude}");
        }
        for (longitude, latitude) in [(-75.1652, 39.9526), (0.0, 0.0), (-740.0, 407.0), (f64::NAN, 40.7)] {
            assert!(in_city(longitude, latitude).is_none(), "{longitude} {latitude}");
        }
    }

    /// Terminals belong to their airport, Times Square to none.
    #[test]
    fn airports() {
        let airport = |longitude, latitude| in_city(longitude, latitude).and_then(Airport::of);
        assert_eq!(airport(-73.7781, 40.6413), Some(Airport::Jfk));
        assert_eq!(airport(-73.874, 40.7769), Some(Airport::Lga));
        assert_eq!(airport(-73.985, 40.758), None);
    }
}
