//! Trips as JSON lines of about 300 bytes, one per 10.8 ms of event time, up to 30 s out of order, the same every time.

use anyhow::Result;
use std::io::{BufWriter, Write};
use std::path::Path;

/// 2016-01-31T23:00:00Z
const START: i64 = 1_454_281_200_000;

struct Random(u64);

impl Random {
    /// xorshift64*: uniform in 0..1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, by the sum of twelve.
    fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.next()).sum();
        mean + (sum - 6.0) * deviation
    }

    /// A place on a grid of 60 × 60 cells of a hundredth of a degree, three in five of them near its centre.
    fn place(&mut self) -> (f64, f64) {
        if self.next() < 0.6 {
            let lon = self.normal(-73.975, 0.05).clamp(-74.25, -73.65001);
            (lon, self.normal(40.755, 0.05).clamp(40.50, 41.09999))
        } else {
            (-74.25 + self.next() * 0.59999, 40.50 + self.next() * 0.59999)
        }
    }
}

/// Writes `count` trips.
pub fn write(count: usize, path: &Path) -> Result<()> {
    let mut random = Random(20_160_131);
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    for id in 0..count {
        let end = START + (id as i64) * 108 / 10 - (random.next() * 30_000.0) as i64;
        let duration = 120_000 + (random.next() * 2_400_000.0) as i64;
        let ((lon, lat), (to_lon, to_lat)) = (random.place(), random.place());
        let passengers = if random.next() < 0.7 { 1 } else { 2 + (random.next() * 5.0) as u32 };
        let distance = (duration as f64 * random.next() / 1_200.0).floor() / 100.0;
        let amount = (350.0 + distance * 210.0 + random.next() * 1_500.0).floor() / 100.0;
        let (start, end) = (wasmill_stream::time::iso8601(end - duration), wasmill_stream::time::iso8601(end));
        writeln!(
            out,
            "{{\"trip_id\":{id},\"pickup_datetime\":\"{start}\",\"dropoff_datetime\":\"{end}\",\
             \"pickup_longitude\":{lon:.5},\"pickup_latitude\":{lat:.5},\"dropoff_longitude\":{to_lon:.5},\
             \"dropoff_latitude\":{to_lat:.5},\"passenger_count\":{passengers},\"trip_distance\":{distance},\
             \"total_amount\":{amount},\"type\":\"trip\"}}"
        )?;
    }
    Ok(out.flush()?)
}
