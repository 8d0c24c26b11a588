//! Folders.

use super::network::{Network, Parcel};
use super::run::number;
use super::subject::{Applies, Bound, Order, Subject};
use crate::file::to;
use crate::file_commits::rows_of;
use crate::formats::below;
use async_trait::async_trait;
use std::fs;
use tempfile::{TempDir, tempdir};
use wasmill_stream::sink::Sink;

const NO_NETWORK: &str = "a disk is no network: full and failing ones are in tests/disk.rs";

/// A folder, and how files are written into it.
pub struct Files {
    folder: TempDir,
    format: &'static str,
}

impl Files {
    pub async fn lines() -> Option<Self> {
        Self::of("")
    }

    pub async fn csv() -> Option<Self> {
        Self::of("format = \"csv\"\ncolumns = [\"/n: s64\"]\n")
    }

    pub async fn parquet() -> Option<Self> {
        Self::of("format = \"parquet\"\ncolumns = [\"/n: s64\", \"/pad: string?\"]\n")
    }

    fn of(format: &'static str) -> Option<Self> {
        Some(Self { folder: tempdir().expect("a folder"), format })
    }
}

#[async_trait]
impl Subject for Files {
    const KIND: &'static str = "file";

    fn sink(&self, more: &str) -> Box<dyn Sink> {
        to(self.folder.path(), &format!("{}{more}", self.format))
    }

    async fn visible(&self) -> Vec<usize> {
        let rows = below(self.folder.path()).into_iter().flat_map(|name| rows_of(&self.folder.path().join(name)));
        rows.map(|row| number(row.as_bytes())).collect()
    }

    fn network(&self) -> Applies<&Network> {
        Err(NO_NETWORK)
    }

    async fn parcels(&self) -> Vec<Parcel> {
        let path = |name| self.folder.path().join(name);
        let parcel = |name: String| Parcel {
            rows: rows_of(&path(name.clone())).len(),
            bytes: fs::metadata(path(name)).expect("a file").len() as usize,
        };
        below(self.folder.path()).into_iter().map(parcel).collect()
    }

    fn bound_of_rows(&self) -> Applies<Bound> {
        Err("files have as many rows as their bytes allow")
    }

    fn bound_of_bytes(&self) -> Applies<Bound> {
        match self.format {
            // The sink hands over 256 KiB at a time.
            "" => Ok(Bound { settings: "roll_bytes = \"512KiB\"", most: 768 << 10 }),
            _ => {
                Err("what a file takes once it is packed, or without most of its rows, is not what is gathered for it")
            }
        }
    }

    fn bound_of_time(&self) -> Applies<&'static str> {
        Err("rows are handed to the disk at once, and to readers with a file that is complete")
    }

    fn bound_of_memory(&self) -> Applies<Bound> {
        Err(NO_NETWORK)
    }

    fn complete_pieces(&self) -> &'static str {
        "roll_bytes = \"1B\""
    }

    fn order(&self) -> Applies<Order> {
        Ok(Order::Kept("roll_bytes = \"1KiB\""))
    }

    fn poison(&self) -> Applies<(&'static str, &'static str)> {
        match self.format {
            "" => Err("any row is a line"),
            _ => Ok(("", "{\"n\":\"no number\"}")),
        }
    }
}
