//! The same job as a native program on one thread: read lines, parse with serde_json, count and sum per window and cell in
//! a hash map, write the windows that the watermark (60 s behind the latest event) has passed.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

const WINDOW: i64 = 600_000;
const DISORDER: i64 = 60_000;

#[derive(Deserialize)]
struct Trip<'a> {
    dropoff_datetime: &'a str,
    pickup_longitude: f64,
    pickup_latitude: f64,
    total_amount: f64,
}

type Cells = HashMap<(i32, i32), (u64, f64)>;

/// Runs the job.
pub fn run(input: &Path, output: &Path) -> Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, std::fs::File::open(input)?);
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(output)?);
    let mut windows: BTreeMap<i64, Cells> = BTreeMap::new();
    let (mut line, mut watermark) = (String::new(), i64::MIN);
    while reader.read_line(&mut line)? > 0 {
        let trip: Trip<'_> = serde_json::from_str(&line)?;
        let time = millis(trip.dropoff_datetime).context("not a time")?;
        let start = time - time.rem_euclid(WINDOW);
        if start + WINDOW > watermark {
            let cell = ((trip.pickup_longitude * 100.0).floor() as i32, (trip.pickup_latitude * 100.0).floor() as i32);
            let (count, sum) = windows.entry(start).or_default().entry(cell).or_default();
            *count += 1;
            *sum += trip.total_amount;
        }
        watermark = watermark.max(time - DISORDER);
        while let Some(first) = windows.first_entry()
            && first.key() + WINDOW <= watermark
        {
            let (start, cells) = first.remove_entry();
            write(&mut out, start, &cells)?;
        }
        line.clear();
    }
    for (start, cells) in &windows {
        write(&mut out, *start, cells)?;
    }
    Ok(out.flush()?)
}

fn write(out: &mut impl Write, start: i64, cells: &Cells) -> Result<()> {
    let window_start = wasmill_stream::time::iso8601(start);
    let window_end = wasmill_stream::time::iso8601(start + WINDOW);
    for ((lon, lat), (count, sum)) in cells {
        let average = sum / *count as f64;
        writeln!(
            out,
            "{{\"cell_lon\":{lon},\"cell_lat\":{lat},\"count\":{count},\"average\":{average},\
             \"window_start\":\"{window_start}\",\"window_end\":\"{window_end}\"}}"
        )?;
    }
    Ok(())
}

/// `2016-01-31T23:00:00.000Z` to milliseconds, by the days-from-civil formula; nothing else is accepted.
fn millis(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    Some(seconds * 1_000 + number(20, 23)?)
}
