//! The settings that say how rows are written: `format`, `compression`, `columns`, `row_group_bytes`. The same for every sink
//! that has them.

use super::Format;
use super::columns::{self, ColumnSpec};
use super::packing::Packing;
use super::parquet::{PagePacking, ParquetSettings};
use serde::Deserialize;
use wasmill_stream::config::{Place, Problems, Section};
use wasmill_stream::units::ByteCount;

/// What a row group takes at most before it is encoded.
const LARGEST_ROW_GROUP: u64 = 256 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Json,
    Csv,
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Compression {
    None,
    Gzip,
    Zstd,
    Snappy,
}

/// What the name of a file says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    kind: Kind,
    packing: Packing,
}

impl Named {
    /// What a name ends in; `None` if that says nothing.
    pub fn of(name: &str) -> Option<Self> {
        let (name, packing) = match name.rsplit_once('.') {
            Some((name, "gz")) => (name, Packing::Gzip),
            Some((name, "zst")) => (name, Packing::Zstd),
            _ => (name, Packing::None),
        };
        let kind = match (name.rsplit_once('.')?.1, packing) {
            ("jsonl", _) => Kind::Json,
            ("csv", _) => Kind::Csv,
            ("parquet", Packing::None) => Kind::Parquet,
            _ => return None,
        };
        Some(Self { kind, packing })
    }

    /// How the file is packed.
    pub fn packing(self) -> Packing {
        self.packing
    }
}

impl Format {
    /// Reads:
    ///
    /// * `format` = `"json"`, `"csv"` or `"parquet"`, and `compression` = `"none"`, `"gzip"` or `"zstd"`; inside of Parquet
    ///   `"zstd"`, which is the default there, `"snappy"` or `"none"`. The name of the file says both, if there is one;
    /// * `columns` = `["/pickup_datetime: time", "fare = /fare_amount: f64?", "/zone"]`: for CSV; for Parquet, if they are not
    ///   to be what fits the rows of each file. A row that does not fit is refused;
    /// * `row_group_bytes` (16 MiB): rows of Parquet that take so much before they are encoded are a row group.
    ///
    /// Also returns where the format is said.
    pub fn check(named: Option<Named>, section: &mut Section<'_>, problems: &mut Problems) -> (Self, Place) {
        let kind = section.located::<Kind>("format", problems);
        let compression = section.located::<Compression>("compression", problems);
        let columns = columns::check(section, problems);
        let row_group_bytes = section.located::<ByteCount>("row_group_bytes", problems);
        let place = kind.as_ref().map_or_else(|| section.place(), |(_, place)| place.clone());
        let title = section.title();
        if let (Some((kind, place)), Some(named)) = (&kind, named)
            && *kind != named.kind
        {
            problems.push(place.clone(), format!("{title}: `format` does not fit the name of the file"));
        }
        let kind = named.map(|named| named.kind).or(kind.map(|(kind, _)| kind)).unwrap_or(Kind::Json);
        if let Some((_, place)) = row_group_bytes.as_ref().filter(|_| kind != Kind::Parquet) {
            problems.push(place.clone(), format!("{title}: `row_group_bytes` is for format = \"parquet\""));
        }
        let format = match kind {
            Kind::Json => {
                if let Some((_, place)) = &columns {
                    let message = format!("{title}: rows of JSON have no columns");
                    problems.push_hint(place.clone(), message, "`columns` are for format = \"csv\" and \"parquet\"");
                }
                Self::Json(check_packing(named, compression, title, problems))
            }
            Kind::Csv => {
                if columns.is_none() {
                    let message = format!("{title}: `columns` is missing: CSV has a cell for each");
                    problems.push_hint(
                        place.clone(),
                        message,
                        "for example columns = [\"/key\", \"/fare_amount: f64?\"]",
                    );
                }
                Self::Csv(listed(columns), check_packing(named, compression, title, problems))
            }
            Kind::Parquet => Self::Parquet(ParquetSettings {
                columns: columns.map(|(columns, _)| columns.into()),
                packing: check_page_packing(compression, title, problems),
                row_group_bytes: check_row_group(row_group_bytes, title, problems),
            }),
        };
        (format, place)
    }
}

fn listed(columns: Option<(Vec<ColumnSpec>, Place)>) -> Vec<ColumnSpec> {
    columns.map(|(columns, _)| columns).unwrap_or_default()
}

fn check_packing(
    named: Option<Named>,
    compression: Option<(Compression, Place)>,
    title: &str,
    problems: &mut Problems,
) -> Packing {
    let Some((compression, place)) = compression else { return named.map_or(Packing::None, |named| named.packing) };
    let packing = match compression {
        Compression::None => Packing::None,
        Compression::Gzip => Packing::Gzip,
        Compression::Zstd => Packing::Zstd,
        Compression::Snappy => {
            let message = format!("{title}: `compression` = \"snappy\" is for format = \"parquet\"");
            problems.push_hint(place, message, "text takes \"gzip\" or \"zstd\"");
            return Packing::None;
        }
    };
    if let Some(named) = named.filter(|named| named.packing != packing) {
        let message = format!("{title}: `compression` does not fit the name of the file");
        problems.push_hint(
            place,
            message,
            "a file with gzip ends in .gz, one with zstd in .zst, one without in neither",
        );
        return named.packing;
    }
    packing
}

fn check_page_packing(compression: Option<(Compression, Place)>, title: &str, problems: &mut Problems) -> PagePacking {
    match compression {
        None | Some((Compression::Zstd, _)) => PagePacking::Zstd,
        Some((Compression::Snappy, _)) => PagePacking::Snappy,
        Some((Compression::None, _)) => PagePacking::None,
        Some((Compression::Gzip, place)) => {
            let message = format!("{title}: `compression` = \"gzip\" is not for format = \"parquet\"");
            problems.push_hint(place, message, "pages take \"zstd\", \"snappy\" or \"none\"");
            PagePacking::Zstd
        }
    }
}

fn check_row_group(bytes: Option<(ByteCount, Place)>, title: &str, problems: &mut Problems) -> usize {
    let Some((bytes, place)) = bytes else { return 16 << 20 };
    if !(1..=LARGEST_ROW_GROUP).contains(&bytes.bytes()) {
        let most = ByteCount::new(LARGEST_ROW_GROUP);
        problems.push(place, format!("{title}: `row_group_bytes` must be 1 to {most}, found {bytes}"));
    }
    bytes.bytes() as usize
}
