//! A small job that counts amounts per key and averages them, through the plugins `cell-key` and `cell-average`: for tests
//! of windows and watermarks, which want to choose every row.

use super::data::json_lines;
use super::root;
use crate::oracle::calendar;
use crate::oracle::windows::{Answer, Row};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The job as text: rows from `source`, results in these windows into `sink`, late rows into `${out}/late.jsonl`.
pub fn job(source: &str, watermark: &str, window: &str, sink: &str) -> String {
    let plugins = root().join("plugins").display().to_string();
    format!(
        r#"
        [engine]
        epoch = "5ms"
        in_flight = "64 KiB"

        [source.rows]
        {source}
        event_time = "/t: time(unix-ms)"
        watermark = {{ {watermark} }}

        [step.cells]
        input = "rows"
        plugin = "{plugins}/cell-key"

        [step.averages]
        input = "cells"
        plugin = "{plugins}/cell-average"
        {window}

        [sink.results]
        input = "averages"
        {sink}

        [sink.late]
        input = "averages.late"
        type = "file"
        path = "${{out}}/late.jsonl"
        overwrite = true
        "#
    )
}

/// A sink for [`results_in`].
pub const RESULTS: &str = "type = \"file\"\npath = \"${out}/results.jsonl\"\noverwrite = true";

/// A row as the plugins want it. Its key is a pair of integers.
pub fn line(row: &Row) -> String {
    let (longitude, latitude) = row.key.split_once('|').expect("a key has two parts");
    let degrees = |text: &str| (text.parse::<f64>().expect("of whole numbers") + 0.5) / 100.0;
    let (longitude, latitude) = (degrees(longitude), degrees(latitude));
    json!({"t": row.time, "pickup_longitude": longitude, "pickup_latitude": latitude, "total_amount": row.amount})
        .to_string()
}

/// The row that is written so, if it is one.
pub fn row(value: &Value) -> Option<Row> {
    let cell = |name: &str| value[name].as_f64().map(|degrees| (degrees * 100.0).floor() as i64);
    let key = format!("{}|{}", cell("pickup_longitude")?, cell("pickup_latitude")?);
    Some(Row { key, time: value["t"].as_i64()?, amount: value["total_amount"].as_i64()? })
}

/// Writes rows as a file.
pub fn write(path: &Path, rows: &[Row]) {
    let lines: String = rows.iter().map(|row| line(row) + "\n").collect();
    fs::write(path, lines).expect("it can be written");
}

/// The last word of the job on each window.
pub fn results_in(dir: &Path) -> Answer {
    json_lines(&fs::read_to_string(dir.join("results.jsonl")).expect("the sink wrote it")).iter().map(result).collect()
}

/// What the job says about one window. Amounts are whole, so the sum follows from the average.
pub fn result(value: &Value) -> ((i64, i64, String), (i64, i64)) {
    let time = |name: &str| value[name].as_str().and_then(calendar::millis).expect("a time");
    let key = format!("{}|{}", value["cell_lon"], value["cell_lat"]);
    let count = value["count"].as_i64().expect("a count");
    let sum = value["average"].as_f64().expect("an average") * count as f64;
    ((time("window_start"), time("window_end"), key), (count, sum.round() as i64))
}

/// The lines of late rows.
pub fn late_in(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join("late.jsonl")).expect("the sink wrote it");
    text.lines().map(str::to_owned).collect()
}
