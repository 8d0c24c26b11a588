//! Nanoseconds per record to get four typed fields out of trips of 300 bytes and eleven members: our decoder, beside
//! what a native program would do with serde_json. The ratios are the result; the figures depend on the machine.

use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};
use serde::Deserialize;
use serde_json::Value;
use std::hint::black_box;
use std::time::{Duration, Instant};
use wasmill_stream::Binary;
use wasmill_stream::field::{Decoder, FieldSpec};
use wasmill_stream::time::{TimeFormat, iso8601};

const ROWS: u64 = 4_096;
const FIELDS: [&str; 4] =
    ["/dropoff_datetime: time", "/pickup_longitude: f64", "/pickup_latitude: f64", "/total_amount: f64"];

#[derive(Deserialize)]
struct Trip<'a> {
    dropoff_datetime: &'a str,
    pickup_longitude: f64,
    pickup_latitude: f64,
    total_amount: f64,
}

/// The four columns.
type Columns = (Vec<i64>, Vec<f64>, Vec<f64>, Vec<f64>);

fn decoder() -> Decoder {
    Decoder::new(&FIELDS.map(|field| field.parse::<FieldSpec>().expect("a valid field")))
}

fn with_struct(records: &Binary) -> Columns {
    let mut columns = Columns::default();
    for record in records.iter() {
        let trip: Trip<'_> = serde_json::from_slice(record).expect("a valid trip");
        columns.0.push(TimeFormat::Iso8601.parse(trip.dropoff_datetime.as_bytes()).expect("a valid time"));
        columns.1.push(trip.pickup_longitude);
        columns.2.push(trip.pickup_latitude);
        columns.3.push(trip.total_amount);
    }
    columns
}

fn with_value(records: &Binary) -> Columns {
    let mut columns = Columns::default();
    for record in records.iter() {
        let trip: Value = serde_json::from_slice(record).expect("a valid trip");
        let number = |key: &str| trip[key].as_f64().expect("a number");
        let time = trip["dropoff_datetime"].as_str().expect("a string");
        columns.0.push(TimeFormat::Iso8601.parse(time.as_bytes()).expect("a valid time"));
        columns.1.push(number("pickup_longitude"));
        columns.2.push(number("pickup_latitude"));
        columns.3.push(number("total_amount"));
    }
    columns
}

/// Lets criterion count records, though whole batches are decoded.
fn per_record<T>(bencher: &mut Bencher<'_>, records: &Binary, mut decode: impl FnMut(&Binary) -> T) {
    bencher.iter_custom(|wanted| {
        let batches = wanted.div_ceil(ROWS);
        let start = Instant::now();
        for _ in 0..batches {
            black_box(decode(black_box(records)));
        }
        Duration::from_secs_f64(start.elapsed().as_secs_f64() * wanted as f64 / (batches * ROWS) as f64)
    });
}

fn decode(criterion: &mut Criterion) {
    let mut dice = Dice(20_160_131);
    let trips: Vec<_> = (0..ROWS).map(|row| trip(&mut dice, row)).collect();
    let ordered: Binary = trips.iter().map(|members| print(members)).collect();
    let shuffled: Binary = trips.into_iter().map(|members| print(&shuffle(&mut dice, members))).collect();

    let mut group = criterion.benchmark_group("decode 4 fields of a trip");
    group.throughput(Throughput::Bytes(ordered.total_bytes() as u64 / ROWS));
    let mut ours = decoder();
    group.bench_function("wasmill", |bencher| per_record(bencher, &ordered, |records| ours.decode(records)));
    // The worst case: no record says anything about the next one.
    group.bench_function("wasmill, members shuffled", |bencher| {
        per_record(bencher, &shuffled, |records| ours.decode(records));
    });
    group.bench_function("serde_json, typed struct", |bencher| per_record(bencher, &ordered, with_struct));
    group.bench_function("serde_json, Value", |bencher| per_record(bencher, &ordered, with_value));
    group.finish();
}

// === trips ===

/// The same numbers in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn up_to(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn trip(dice: &mut Dice, row: u64) -> Vec<String> {
    let dropoff = 1_454_281_200_000 + (row * 108 / 10) as i64 - dice.up_to(30_000) as i64;
    let pickup = dropoff - 120_000 - dice.up_to(2_400_000) as i64;
    let distance = dice.up_to(2_000) as f64 / 100.0;
    let amount = (350.0 + distance * 210.0 + dice.between(0.0, 1_500.0)).floor() / 100.0;
    vec![
        format!("\"trip_id\":{row}"),
        format!("\"pickup_datetime\":\"{}\"", iso8601(pickup)),
        format!("\"dropoff_datetime\":\"{}\"", iso8601(dropoff)),
        format!("\"pickup_longitude\":{:.5}", dice.between(-74.25, -73.65)),
        format!("\"pickup_latitude\":{:.5}", dice.between(40.5, 41.1)),
        format!("\"dropoff_longitude\":{:.5}", dice.between(-74.25, -73.65)),
        format!("\"dropoff_latitude\":{:.5}", dice.between(40.5, 41.1)),
        format!("\"passenger_count\":{}", 1 + dice.up_to(6)),
        format!("\"trip_distance\":{distance:?}"),
        format!("\"total_amount\":{amount:?}"),
        "\"type\":\"trip\"".to_owned(),
    ]
}

fn shuffle(dice: &mut Dice, mut members: Vec<String>) -> Vec<String> {
    for at in (1..members.len()).rev() {
        members.swap(at, dice.up_to(at as u64 + 1) as usize);
    }
    members
}

fn print(members: &[String]) -> String {
    format!("{{{}}}", members.join(","))
}

criterion_group!(benches, decode);
criterion_main!(benches);
