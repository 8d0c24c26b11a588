//! Families as OpenMetrics, by the library that knows how that is written.

use super::page::{Family, Labels, Numbers};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use wasmill_stream::ledger::BOUNDS;

/// These families as text.
pub fn openmetrics(families: Vec<Family>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

struct Families(Vec<Family>);

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|family| family.name)).finish()
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| write(family, &mut encoder))
    }
}

fn write(Family { name, help, unit, numbers }: &Family, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let kind = match numbers {
        Numbers::Counts(_) | Numbers::Sums(_) => MetricType::Counter,
        Numbers::Gauges(_) => MetricType::Gauge,
        Numbers::Latencies(_) => MetricType::Histogram,
    };
    let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
    match numbers {
        Numbers::Counts(series) => series.iter().try_for_each(|(labels, value)| {
            metric.encode_family(labels)?.encode_counter::<Labels, _, u64>(value, None)
        }),
        Numbers::Sums(series) => series.iter().try_for_each(|(labels, value)| {
            metric.encode_family(labels)?.encode_counter::<Labels, _, u64>(value, None)
        }),
        Numbers::Gauges(series) => {
            series.iter().try_for_each(|(labels, value)| metric.encode_family(labels)?.encode_gauge(value))
        }
        Numbers::Latencies(series) => series.iter().try_for_each(|(labels, seen)| {
            let bounds = BOUNDS.iter().map(|millis| *millis as f64 / 1e3).chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(seen.buckets).collect();
            let mut family = metric.encode_family(labels)?;
            family.encode_histogram::<Labels>(seen.sum.as_secs_f64(), seen.count(), &buckets, None)
        }),
    }
}
