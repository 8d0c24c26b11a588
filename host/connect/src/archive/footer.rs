//! What the footer of a file says about it, beside what every footer of Parquet says.

use super::order::Order;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wasmill_stream::Position;

/// The key under which it stands.
pub const KEY: &str = "wasmill.archive";

/// The only version there is.
pub const VERSION: u32 = 1;

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Footer {
    /// How it is written.
    pub version: u32,
    /// The source whose records they are.
    pub source: String,
    /// Where it stands among the files of its source.
    pub order: Order,
    /// The first and the last time of arrival, in milliseconds.
    pub arrived: [i64; 2],
    /// What it has of each split.
    pub splits: BTreeMap<String, Share>,
}

/// What a file has of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The splits that it goes on after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// How many records.
    pub records: u64,
    /// The first of them.
    pub first: Position,
    /// The last.
    pub last: Position,
}
