//! Listings, which job files call `manifests`: what one checkpoint has made visible, for readers who want all of it or nothing.
//! A listing is written when everything on it is visible, and again if nobody knows whether it was.

use serde::Serialize;
use wasmill_stream::{Error, Result};

/// The folder of all listings. Whoever reads whole folders leaves it alone.
const FOLDER: &str = "_manifests";

#[derive(Serialize)]
struct Listing<'a> {
    files: Vec<File<'a>>,
}

#[derive(Serialize)]
struct File<'a> {
    name: &'a str,
    bytes: u64,
}

/// What the listing of the n-th commit of a run is called. Sorted names are in the order of commits. `who`: tells sinks apart.
pub fn name(run: u64, number: u64, who: &str) -> String {
    format!("{FOLDER}/{run:010}-{number:06}-{who}.json")
}

/// Whether something is called like a listing, and lies in no other folder.
pub fn is_name(name: &str) -> bool {
    let file = name.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/'));
    file.is_some_and(|file| file.ends_with(".json") && !file.contains('/'))
}

/// A listing of files or objects by name and size.
pub fn text<'a>(files: impl Iterator<Item = (&'a str, u64)>) -> Result<Vec<u8>> {
    let listing = Listing { files: files.map(|(name, bytes)| File { name, bytes }).collect() };
    serde_json::to_vec(&listing).map_err(|error| Error::internal("list files").with_source(error))
}

/// Without checkpoints there is nothing to list.
pub fn check(is_wanted: bool, commits: bool) -> Result<()> {
    if is_wanted && !commits {
        let message = "`manifests` say what checkpoints have made visible, and this job has no checkpoints";
        return Err(Error::invalid(message).hint("add a table [checkpoint], or leave `manifests` out"));
    }
    Ok(())
}
