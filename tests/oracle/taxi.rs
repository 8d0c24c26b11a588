//! The two result sets of the taxi example, from a list of trips.

use super::{calendar, geohash};
use serde_json::Value;
use std::collections::BTreeMap;

const WINDOW: i64 = 10 * 60 * 1000;

/// A trip, as far as the example looks at it.
struct Trip {
    /// The pick-up's geohash of six letters.
    pickup: String,
    airport: Option<&'static str>,
    millis: i64,
    window: i64,
}

/// A row of `pickup_count`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PickupCount {
    pub window_start: i64,
    pub window_end: i64,
    pub timestamp: i64,
    pub location: String,
    pub pickup_count: i64,
}

/// A row of `trip_duration`. Durations are in minutes.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct TripDuration {
    pub window_start: i64,
    pub window_end: i64,
    pub timestamp: i64,
    pub location: String,
    pub airport: String,
    pub trips: i64,
    pub sum: f64,
    pub average: f64,
}

/// What the example should write, in order of window and place.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// Trips with both ends in New York.
    pub kept: usize,
    pub pickup_count: Vec<PickupCount>,
    pub trip_duration: Vec<TripDuration>,
}

impl PickupCount {
    /// Reads what the example wrote.
    pub fn read(row: &Value) -> Self {
        Self {
            window_start: time(row, "window_start"),
            window_end: time(row, "window_end"),
            timestamp: time(row, "timestamp"),
            location: text(row, "location"),
            pickup_count: integer(row, "pickup_count"),
        }
    }
}

impl TripDuration {
    /// Reads what the example wrote.
    pub fn read(row: &Value) -> Self {
        Self {
            window_start: time(row, "window_start"),
            window_end: time(row, "window_end"),
            timestamp: time(row, "timestamp"),
            location: text(row, "location"),
            airport: text(row, "airport"),
            trips: integer(row, "trips"),
            sum: millionths(number(&row["sum_trip_duration"]).unwrap_or_else(|| panic!("{row}"))),
            average: millionths(number(&row["avg_trip_duration"]).unwrap_or_else(|| panic!("{row}"))),
        }
    }
}

/// To the millionth: serde_json reads the last bit of a number only on request.
pub fn millionths(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// Computes both result sets. Trips may have the field names of 2013 or of 2016; numbers may be text.
pub fn answer<'a>(trips: impl IntoIterator<Item = &'a Value>) -> Answer {
    let city = geohash::with_neighbours("dr72");
    let airports = [("JFK", vec!["dr5x0z"]), ("LGA", vec!["dr5ryy", "dr5rzn", "dr5rzj"])]
        .map(|(name, cells)| (name, cells.into_iter().flat_map(geohash::with_neighbours).collect::<Vec<_>>()));
    let kept: Vec<Trip> = trips.into_iter().filter_map(|trip| keep(trip, &city, &airports)).collect();

    let mut counts = BTreeMap::<_, i64>::new();
    let mut durations = BTreeMap::<_, Vec<i64>>::new();
    for trip in &kept {
        *counts.entry((trip.window, &trip.pickup)).or_default() += 1;
        if let Some(airport) = trip.airport {
            durations.entry((trip.window, &trip.pickup, airport)).or_default().push(trip.millis);
        }
    }
    let pickup_count = counts.into_iter().filter(|(_, count)| *count >= 2).map(|((start, cell), pickup_count)| {
        let location = cell.clone();
        let window_end = start + WINDOW;
        PickupCount { window_start: start, window_end, timestamp: window_end - 1, location, pickup_count }
    });
    let trip_duration =
        durations.into_iter().filter(|(_, trips)| trips.len() > 1).map(|((start, cell, airport), all)| {
            let sum = all.iter().sum::<i64>() as f64 / 60_000.0;
            TripDuration {
                window_start: start,
                window_end: start + WINDOW,
                timestamp: start + WINDOW - 1,
                location: cell.clone(),
                airport: airport.to_owned(),
                trips: all.len() as i64,
                sum: millionths(sum),
                average: millionths(sum / all.len() as f64),
            }
        });
    Answer { kept: kept.len(), pickup_count: pickup_count.collect(), trip_duration: trip_duration.collect() }
}

fn keep(trip: &Value, city: &[String], airports: &[(&'static str, Vec<String>)]) -> Option<Trip> {
    let place = |end: &str| -> Option<String> {
        let longitude = number(&trip[format!("{end}_longitude")])?;
        let latitude = number(&trip[format!("{end}_latitude")])?;
        Some(geohash::encode(longitude, latitude, 6))
    };
    let time = |end: &str| {
        let field =
            [format!("{end}_datetime"), format!("tpep_{end}_datetime")].into_iter().find(|f| trip[f].is_string());
        calendar::millis(trip[field?].as_str()?)
    };
    let (pickup, dropoff) = (place("pickup")?, place("dropoff")?);
    let (from, to) = (time("pickup")?, time("dropoff")?);
    let in_city = |cell: &String| city.iter().any(|area| cell.starts_with(area));
    let airport = airports.iter().find(|(_, cells)| cells.contains(&dropoff)).map(|(name, _)| *name);
    let window = to.div_euclid(WINDOW) * WINDOW;
    (in_city(&pickup) && in_city(&dropoff)).then_some(Trip { pickup, airport, millis: to - from, window })
}

fn time(row: &Value, field: &str) -> i64 {
    row[field].as_str().and_then(calendar::millis).unwrap_or_else(|| panic!("no time {field} in {row}"))
}

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_else(|| panic!("no text {field} in {row}")).to_owned()
}

fn integer(row: &Value, field: &str) -> i64 {
    row[field].as_i64().unwrap_or_else(|| panic!("no number {field} in {row}"))
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}
