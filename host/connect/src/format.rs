//! How sinks turn rows into files and objects: their format, their compression and, where a format has them, their columns.
//! A sink pushes rows into a [`Body`] and gets bytes out of it; what the bytes mean is not known to it, and where they go is
//! not known here.

mod body;
pub mod columns;
pub mod lines;
pub mod packing;
mod parquet;
mod settings;

pub use body::Body;
pub use settings::Named;

use self::parquet::ParquetSettings;
use columns::{ColumnSpec, Reader};
use lines::Lines;
use packing::Packing;

/// Checked settings of a format.
#[derive(Debug, Clone)]
pub enum Format {
    /// Every value as it is, a line each.
    Json(Packing),
    /// A header, then a line of cells for every row.
    Csv(Vec<ColumnSpec>, Packing),
    /// Columns in row groups, packed inside of the file.
    Parquet(ParquetSettings),
    /// Records of sources as they were read, in Parquet with columns of its own.
    Archive,
}

impl Format {
    /// The end of the names of files and objects.
    pub fn suffix(&self) -> &'static str {
        match self {
            Self::Json(Packing::None) => "jsonl",
            Self::Json(Packing::Gzip) => "jsonl.gz",
            Self::Json(Packing::Zstd) => "jsonl.zst",
            Self::Csv(_, Packing::None) => "csv",
            Self::Csv(_, Packing::Gzip) => "csv.gz",
            Self::Csv(_, Packing::Zstd) => "csv.zst",
            Self::Parquet(_) | Self::Archive => "parquet",
        }
    }

    /// The content type.
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Json(Packing::None) => "application/x-ndjson",
            Self::Csv(_, Packing::None) => "text/csv",
            Self::Json(Packing::Gzip) | Self::Csv(_, Packing::Gzip) => "application/gzip",
            Self::Json(Packing::Zstd) | Self::Csv(_, Packing::Zstd) => "application/zstd",
            Self::Parquet(_) | Self::Archive => "application/vnd.apache.parquet",
        }
    }

    /// How lines are packed. What is not made of lines is packed inside.
    pub fn packing(&self) -> Packing {
        match self {
            Self::Json(packing) | Self::Csv(_, packing) => *packing,
            Self::Parquet(_) | Self::Archive => Packing::None,
        }
    }

    /// What stands above the lines.
    pub fn head(&self) -> String {
        let head = Lines::new(self, Vec::new()).and_then(|mut lines| {
            lines.head(self.columns()).ok()?;
            lines.into_inner().ok()
        });
        String::from_utf8(head.unwrap_or_default()).unwrap_or_default()
    }

    /// Whether files are lines, so that more of them can be appended at any time.
    pub fn has_lines(&self) -> bool {
        !matches!(self, Self::Parquet(_) | Self::Archive)
    }

    /// Whether every value is there as it is.
    pub fn keeps_rows(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// The columns that were declared.
    pub fn columns(&self) -> &[ColumnSpec] {
        match self {
            Self::Json(_) | Self::Archive => &[],
            Self::Csv(columns, _) => columns,
            Self::Parquet(settings) => settings.columns.as_deref().unwrap_or_default(),
        }
    }

    /// Reads the declared columns, and behind them those that somebody else wants, out of batches; `None` if there are none.
    pub fn reader(&self, others: &[ColumnSpec]) -> Option<Reader> {
        let columns: Vec<_> = self.columns().iter().chain(others).cloned().collect();
        (!columns.is_empty()).then(|| Reader::new(columns))
    }
}
