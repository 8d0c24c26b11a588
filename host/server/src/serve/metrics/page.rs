//! Where metrics are written: one family after the other, with its name, what it is, its unit, and its series.

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;
use wasmill_stream::ledger::{BOUNDS, Latencies};

/// Labels of one series.
pub type Labels = Vec<(&'static str, String)>;

/// The name of a family, without unit and without `_total`, and what it is.
pub type About = (&'static str, &'static str);

/// Writes families.
pub struct Page<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
}

impl<'a, 'e> Page<'a, 'e> {
    /// Writes there.
    pub fn new(encoder: &'a mut DescriptorEncoder<'e>) -> Self {
        Self { encoder }
    }

    /// Numbers that only grow.
    pub fn counter(&mut self, about: About, series: impl IntoIterator<Item = (Labels, u64)>) -> fmt::Result {
        self.counter_in(about, None, series)
    }

    /// The same in a unit.
    pub fn counter_in(
        &mut self,
        (name, help): About,
        unit: Option<Unit>,
        series: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in series {
            metric.encode_family(&labels)?.encode_counter::<Labels, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// Time that only grows.
    pub fn seconds(&mut self, (name, help): About, series: impl IntoIterator<Item = (Labels, f64)>) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
        for (labels, value) in series {
            metric.encode_family(&labels)?.encode_counter::<Labels, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// Numbers that come and go.
    pub fn gauge(
        &mut self,
        (name, help): About,
        unit: Option<Unit>,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in series {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// How long things took.
    pub fn latency(
        &mut self,
        (name, help): About,
        series: impl IntoIterator<Item = (Labels, Latencies)>,
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        let bounds = BOUNDS.iter().map(|millis| *millis as f64 / 1e3).chain([f64::INFINITY]);
        for (labels, seen) in series {
            let buckets: Vec<_> = bounds.clone().zip(seen.buckets).collect();
            let mut family = metric.encode_family(&labels)?;
            family.encode_histogram::<Labels>(seen.sum.as_secs_f64(), seen.count(), &buckets, None)?;
        }
        Ok(())
    }
}
