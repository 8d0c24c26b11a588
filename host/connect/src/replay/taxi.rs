//! Generated taxi trips: New York as far as a demo needs it, with the field names of the TLC files of 2013. The same
//! settings give the same bytes on every machine and in every version, so tests may count on them: only integers, basic
//! float operations (which IEEE 754 fixes) and an own random number generator.

mod city;

use super::Feed;
use crate::lines::{BLOCK, Run, Runs};
use city::Random;
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

    /// How many trips there are still to come; `None`: without end.
    pub fn left(&self) -> Option<u64> {
        self.left
    }

    /// The settings that decide what the trips are, by name.
    pub fn settings(&self) -> Vec<(String, String)> {
        let start = iso8601(self.start);
        let values = [("seed", self.seed.to_string()), ("rate", self.trips_per_second.to_string()), ("start", start)];
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
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
        write_trip(end, &mut random, out);
        true
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
    fn read(&mut self) -> Result<Vec<Run>> {
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

fn write_trip(end: i64, random: &mut Random, out: &mut Vec<u8>) {
    let (from, to) = city::journey(random);
    let miles = city::miles(from, to);
    // 12 miles per hour on average, and never quite.
    let seconds = 90 + (miles * 300.0 * (0.7 + random.unit() * 0.6)) as u64;
    let fare = 250 + (miles * 250.0) as u64;
    let tip = if random.below(2) == 0 { fare / 5 } else { 0 };
    let toll = if random.below(20) == 0 { 533 } else { 0 };
    let taxi = random.below(TAXIS);
    out.extend_from_slice(b"{\"medallion\":\"");
    hex(Random::new(1, taxi).next(), out);
    hex(Random::new(2, taxi).next(), out);
    text("\",\"pickup_datetime\":\"", out);
    tlc_time(end - seconds as i64 * 1000, out);
    text("\",\"dropoff_datetime\":\"", out);
    tlc_time(end, out);
    number("\",\"passenger_count\":", 1 + random.below(6) * random.below(2), 0, out);
    number(",\"trip_time_in_secs\":", seconds, 0, out);
    number(",\"trip_distance\":", (miles * 100.0) as u64, 2, out);
    degrees(",\"pickup_longitude\":", from.longitude, out);
    degrees(",\"pickup_latitude\":", from.latitude, out);
    degrees(",\"dropoff_longitude\":", to.longitude, out);
    degrees(",\"dropoff_latitude\":", to.latitude, out);
    text(if tip > 0 { ",\"payment_type\":\"CRD\"" } else { ",\"payment_type\":\"CSH\"" }, out);
    number(",\"fare_amount\":", fare, 2, out);
    number(",\"tip_amount\":", tip, 2, out);
    number(",\"tolls_amount\":", toll, 2, out);
    number(",\"total_amount\":", fare + tip + toll, 2, out);
    out.push(b'}');
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

fn hex(value: u64, out: &mut Vec<u8>) {
    out.extend((0..16).rev().map(|nibble| b"0123456789ABCDEF"[(value >> (4 * nibble)) as usize & 15]));
}

fn degrees(name: &str, micros: i64, out: &mut Vec<u8>) {
    text(name, out);
    number(if micros < 0 { "-" } else { "" }, micros.unsigned_abs(), 6, out);
}

/// Writes a number of which the last `decimals` digits stand behind the point. The formatting of the standard library takes
/// most of the time of a trip otherwise.
fn number(name: &str, value: u64, decimals: usize, out: &mut Vec<u8>) {
    text(name, out);
    let (mut rest, mut digits) = (value, 0);
    let mut reversed = [b'0'; 20];
    while rest > 0 {
        reversed[digits] += (rest % 10) as u8;
        rest /= 10;
        digits += 1;
    }
    let digits = &reversed[..digits.max(decimals + 1)];
    let (fraction, whole) = digits.split_at(decimals);
    out.extend(whole.iter().rev());
    if decimals > 0 {
        out.push(b'.');
        out.extend(fraction.iter().rev());
    }
}

/// `2013-01-01 00:00:00`, in UTC, as the TLC writes it.
fn tlc_time(millis: i64, out: &mut Vec<u8>) {
    let iso = iso8601(millis);
    let (date, time) = iso.split_once('T').unwrap_or_default();
    text(date, out);
    out.push(b' ');
    text(time.split_once('.').map_or(time, |(seconds, _)| seconds), out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn parsed(trips: Trips) -> Vec<Value> {
        trips.map(|trip| serde_json::from_str(&trip).expect("valid JSON")).collect()
    }

    /// The same settings give the same bytes, pinned here, and another seed gives others.
    #[test]
    fn deterministic() {
        let first = |seed| Trips::new(Some(1), seed, DEFAULT_RATE, DEFAULT_START).next();
        let pinned = concat!(
            r#"{"medallion":"28BBD6414B447A19704F757467CF2703","pickup_datetime":"2012-12-31 22:38:23","#,
            r#""dropoff_datetime":"2013-01-01 00:00:11","passenger_count":1,"trip_time_in_secs":4908,"#,
            r#""trip_distance":13.72,"pickup_longitude":-73.833416,"pickup_latitude":40.656969,"#,
            r#""dropoff_longitude":-73.999123,"dropoff_latitude":40.737807,"payment_type":"CSH","#,
            r#""fare_amount":36.81,"tip_amount":0.00,"tolls_amount":0.00,"total_amount":36.81}"#,
        );
        assert_eq!(first(1).as_deref(), Some(pinned));
        assert_ne!(first(2), first(1));
        let all = |rate| Trips::new(Some(500), 1, rate, DEFAULT_START).collect::<Vec<_>>();
        assert_eq!(all(5.0), all(5.0));
    }

    /// As many trips as asked for, in order but for 30 seconds, spread over the time that the rate says.
    #[test]
    fn times() {
        let times: Vec<_> = parsed(Trips::new(Some(5000), 3, 50.0, DEFAULT_START))
            .iter()
            .map(|trip| trip["dropoff_datetime"].as_str().expect("a time").to_owned())
            .collect();
        assert_eq!(times.len(), 5000);
        let seconds = |time: &str| {
            let clock: Vec<i64> = time[11..].split(':').map(|part| part.parse().expect("digits")).collect();
            clock[0] * 3600 + clock[1] * 60 + clock[2]
        };
        let mut latest = 0;
        for time in &times {
            assert!(time.starts_with("2013-01-01 00:0"), "{time}");
            latest = latest.max(seconds(time));
            assert!(seconds(time) >= latest - 30, "{time}");
        }
        assert!(!times.is_sorted());
        assert!((100..130).contains(&latest), "{latest}");
    }

    /// Both airports, Manhattan and lost positions all occur, and money adds up.
    #[test]
    fn places() {
        let trips = parsed(Trips::new(Some(10_000), 1, DEFAULT_RATE, DEFAULT_START));
        let near = |trip: &Value, end: &str, longitude: f64, latitude: f64| {
            let cell = |axis: &str| trip[format!("{end}_{axis}")].as_f64().expect("a number");
            (cell("longitude") - longitude).abs() < 0.01 && (cell("latitude") - latitude).abs() < 0.01
        };
        let count =
            |longitude, latitude| trips.iter().filter(|trip| near(trip, "dropoff", longitude, latitude)).count();
        assert!((400..700).contains(&count(-73.7781, 40.6413)), "JFK {}", count(-73.7781, 40.6413));
        assert!((600..900).contains(&count(-73.8740, 40.7769)), "LaGuardia {}", count(-73.8740, 40.7769));
        assert!((100..300).contains(&count(0.0, 0.0)), "lost {}", count(0.0, 0.0));
        assert!(count(-73.9855, 40.7580) > 1000, "Times Square {}", count(-73.9855, 40.7580));
        let cents = |trip: &Value, field: &str| (trip[field].as_f64().expect("a number") * 100.0).round() as i64;
        for trip in &trips {
            let parts = ["fare_amount", "tip_amount", "tolls_amount"].map(|field| cents(trip, field));
            assert_eq!(cents(trip, "total_amount"), parts.iter().sum::<i64>());
        }
    }
}
