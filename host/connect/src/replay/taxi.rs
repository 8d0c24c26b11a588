//! Generated taxi trips: New York as far as a demo needs it, with the field names of the TLC files of 2013. The same
//! settings give the same bytes on every machine and in every version, so tests may count on them: only integers, basic
//! float operations (which IEEE 754 fixes) and an own random number generator.

mod city;

use super::Feed;
use crate::lines::{BLOCK, Run, Runs};
use city::{Place, Random};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use wasmill_stream::Result;
use wasmill_stream::time::iso8601;
use wasmill_stream::units::Period;

/// The field with the event time.
pub const EVENT_TIME: &str = "/dropoff_datetime: time";
/// How far out of order trips are at most.
pub const DISORDER: Period = Period::from_millis(30_000);
/// Trips per second of event time, unless the job file says otherwise.
pub const DEFAULT_RATE: f64 = 10.0;
/// 2013-01-01T00:00:00Z
pub const DEFAULT_START: i64 = 1_356_998_400_000;
/// The rates that make sense: from a trip per hour to a thousand per millisecond.
pub const RATES: RangeInclusive<f64> = 0.000_28..=1_000_000.0;

const TAXIS: u64 = 13_000;

/// Trips in the order in which they arrive, as JSON lines without line ends.
#[derive(Debug, Clone)]
pub struct Trips {
    seed: u64,
    trips_per_second: f64,
    start: i64,
    left: Option<u64>,
    number: u64,
}

impl Trips {
    /// So many trips (`None`: without end), the first of which ends within 30 seconds of `start` (in milliseconds).
    pub fn new(trips: Option<u64>, seed: u64, trips_per_second: f64, start: i64) -> Self {
        Self { seed, trips_per_second, start, left: trips, number: 0 }
    }

    /// Appends the next trip; `false` if there are no more.
    pub fn append_next(&mut self, out: &mut Vec<u8>) -> bool {
        if self.left == Some(0) {
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        let mut random = Random::new(self.seed, self.number);
        let elapsed = self.number as f64 * 1000.0 / self.trips_per_second;
        let end = self.start.saturating_add(elapsed as i64) + random.below(DISORDER.millis() as u64) as i64;
        self.number += 1;
        write_trip(end, &mut random, out).is_ok()
    }
}

impl Iterator for Trips {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.append_next(&mut line).then(|| String::from_utf8_lossy(&line).into_owned())
    }
}

impl Feed for Trips {
    fn next(&mut self) -> Result<Vec<Run>> {
        let mut block = Vec::with_capacity(BLOCK);
        let mut runs = Runs::default();
        // A longest trip has under 512 bytes: the block never grows.
        while block.len() + 512 < BLOCK {
            let start = block.len();
            if !self.append_next(&mut block) {
                break;
            }
            runs.push(self.number, start, block.len());
        }
        runs.finish(block.into())
    }
}

fn write_trip(end: i64, random: &mut Random, out: &mut Vec<u8>) -> io::Result<()> {
    let (from, to) = city::journey(random);
    let miles = city::miles(from, to);
    // 12 miles per hour on average, and never quite.
    let seconds = 90 + (miles * 300.0 * (0.7 + random.unit() * 0.6)) as i64;
    let fare = 250 + (miles * 250.0) as u64;
    let tip = if random.below(2) == 0 { fare / 5 } else { 0 };
    let toll = if random.below(20) == 0 { 533 } else { 0 };
    let taxi = random.below(TAXIS);
    write!(out, "{{\"medallion\":\"{:016X}{:016X}\"", Random::new(1, taxi).next(), Random::new(2, taxi).next())?;
    write!(out, ",\"pickup_datetime\":\"{}\"", tlc_time(end - seconds * 1000))?;
    write!(out, ",\"dropoff_datetime\":\"{}\"", tlc_time(end))?;
    write!(out, ",\"passenger_count\":{},\"trip_time_in_secs\":{seconds}", 1 + random.below(6) * random.below(2))?;
    write!(out, ",\"trip_distance\":{:.2}", miles)?;
    write_place(",\"pickup_longitude\":", ",\"pickup_latitude\":", from, out)?;
    write_place(",\"dropoff_longitude\":", ",\"dropoff_latitude\":", to, out)?;
    write!(out, ",\"payment_type\":\"{}\"", if tip > 0 { "CRD" } else { "CSH" })?;
    for (name, cents) in
        [("fare_amount", fare), ("tip_amount", tip), ("tolls_amount", toll), ("total_amount", fare + tip + toll)]
    {
        write!(out, ",\"{name}\":{}.{:02}", cents / 100, cents % 100)?;
    }
    out.write_all(b"}")
}

fn write_place(longitude: &str, latitude: &str, place: Place, out: &mut Vec<u8>) -> io::Result<()> {
    for (name, micros) in [(longitude, place.longitude), (latitude, place.latitude)] {
        let sign = if micros < 0 { "-" } else { "" };
        let micros = micros.unsigned_abs();
        write!(out, "{name}{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)?;
    }
    Ok(())
}

/// `2013-01-01 00:00:00`, in UTC, as the TLC writes it.
fn tlc_time(millis: i64) -> String {
    let mut text = iso8601(millis.div_euclid(1000) * 1000);
    text.truncate("2013-01-01T00:00:00".len());
    text.replace('T', " ")
}
