//! Parquet: rows become row groups, whose columns are encoded with dictionaries and packed when they are large enough, or when
//! the file ends. A file cannot be gone on with once it has ended.

mod encoder;
mod infer;
mod schema;

pub use encoder::Encoder;
pub use infer::Inference;

use super::columns::ColumnSpec;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

/// Checked settings of Parquet.
#[derive(Debug, Clone)]
pub struct ParquetSettings {
    /// The schema, if it was declared.
    pub columns: Option<Arc<[ColumnSpec]>>,
    /// How pages are packed.
    pub packing: PagePacking,
    /// Rows that take so many bytes before they are encoded are a row group.
    pub row_group_bytes: usize,
}

/// How the pages of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PagePacking {
    /// As they are.
    None,
    /// With Snappy.
    Snappy,
    /// With Zstandard.
    Zstd,
}

impl ParquetSettings {
    fn properties(&self) -> WriterProperties {
        let packing = match self.packing {
            PagePacking::None => Compression::UNCOMPRESSED,
            PagePacking::Snappy => Compression::SNAPPY,
            PagePacking::Zstd => Compression::ZSTD(ZstdLevel::default()),
        };
        WriterProperties::builder().set_compression(packing).build()
    }
}
