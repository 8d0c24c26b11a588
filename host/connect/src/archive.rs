//! The raw archive: every record of a source as it was read, in Parquet, and the source that reads it back.
//!
//! A file has the records of one source that arrived in one hour, of all its splits. Its footer says what is in it and where
//! the file stands among the others: whoever reads the files in that order has the records of each split in theirs, and those
//! of a split behind those of its parents. What is being written is gathered in memory like any other Parquet file; where it
//! goes and when it becomes visible is known to the sinks alone.

mod body;
mod catalog;
mod footer;
mod gathering;
mod order;
mod pages;
mod place;
mod reading;
mod rows;
mod settings;
mod splits;

pub use gathering::Gathering;
pub use settings::check;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::Result;
use parquet::schema::types::{Type, TypePtr};
use std::sync::Arc;

/// The columns, in their order.
const DATA: &str = "data";
const SHARD: &str = "shard";
const SEQUENCE: &str = "sequence";
const SUBSEQUENCE: &str = "subsequence";
const ARRIVED: &str = "arrived";

/// A row group is encoded when its records take so much. Whoever reads it has all of it in memory.
const ROW_GROUP_BYTES: usize = 8 << 20;

/// The schema of all files.
fn schema() -> Result<TypePtr> {
    let column = |name: &str, physical, repetition, logical| {
        let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
        builder.with_logical_type(logical).build().map(Arc::new)
    };
    let (required, text) = (Repetition::REQUIRED, Some(LogicalType::String));
    let time = Some(LogicalType::timestamp(true, TimeUnit::MILLIS));
    let columns = vec![
        column(DATA, Physical::BYTE_ARRAY, required, None)?,
        column(SHARD, Physical::BYTE_ARRAY, required, text.clone())?,
        column(SEQUENCE, Physical::BYTE_ARRAY, required, text)?,
        column(SUBSEQUENCE, Physical::INT64, Repetition::OPTIONAL, None)?,
        column(ARRIVED, Physical::INT64, required, time)?,
    ];
    Type::group_type_builder("record").with_fields(columns).build().map(Arc::new)
}
