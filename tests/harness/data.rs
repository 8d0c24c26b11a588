//! Input for the tests: real taxi trips if they are at hand, generated ones always.

use super::{root, skipped};
use flate2::read::GzDecoder;
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use wasmill_connect::replay::taxi::{DEFAULT_START, Trips};

/// Ten thousand real trips of the first hour of 2013, beside the repository or in the folder `WASMILL_DATA`. Not part of it, as
/// nobody states a licence; without them tests that want them say so and pass.
pub fn real_trips() -> Option<PathBuf> {
    let folder = std::env::var_os("WASMILL_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let found = folder.join("taxi-trips.csv.gz").canonicalize().ok();
    if found.is_none() {
        skipped("needs taxi-trips.csv.gz in ../shared/data or WASMILL_DATA, which is not there");
    }
    found
}

/// What a sink has written so far into files of a folder that are called so. Until a job has ended for good, its file has a name
/// that says so, and it may get another one meanwhile.
pub fn written(dir: &Path, name: &str) -> String {
    let files = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("it can be read").path());
    let is_of_sink = |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
    files.filter(is_of_sink).filter_map(|file| fs::read_to_string(file).ok()).collect()
}

/// The rows of a gzipped CSV file as objects of text.
pub fn csv_rows(path: &Path) -> Vec<Value> {
    let mut reader = csv::Reader::from_reader(GzDecoder::new(File::open(path).expect("the file is there")));
    let names = reader.headers().expect("the file has a header").clone();
    let object = |row: csv::StringRecord| {
        names.iter().zip(row.iter()).map(|(name, cell)| (name.to_owned(), Value::from(cell))).collect::<Map<_, _>>()
    };
    reader.records().map(|row| Value::Object(object(row.expect("every row has all columns")))).collect()
}

/// The values of a file of JSON lines.
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// So many generated trips, ten a second from the beginning of 2013, up to half a minute out of order.
pub fn generated_trips(count: u64) -> Vec<String> {
    Trips::new(Some(count), 7, 10.0, DEFAULT_START).collect()
}
