//! What a row says: a value, of which series, and when.

use super::series::Series;
use super::settings::{RowSettings, is_name};
use crate::format::columns::{Read, Reader};
use crate::template::text;
use std::collections::HashSet;
use std::sync::Arc;
use wasmill_stream::field::Decoder;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Batch, Cells};
use xxhash_rust::xxh3::xxh3_128;

/// Greatest value, either way: 2^360 (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>).
const GREATEST: f64 = 2.348_542_582_773_833_2e108;
/// Characters of the value of a dimension.
const DIMENSION_CHARS: usize = 1_024;
/// How long ago, and how far ahead, a time may be, in seconds
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>).
const PAST: i64 = 14 * 86_400;
const AHEAD: i64 = 2 * 3_600;
/// What the dimensions of series are that there is no room for.
const OTHER: &str = "other";

/// What a row says.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Of what.
    pub series: Series,
    /// When, in seconds; those of a minute are one if the resolution is a minute.
    pub second: i64,
    /// How much.
    pub value: f64,
}

/// Reads rows.
pub struct Reading {
    settings: RowSettings,
    reader: Reader,
    values: Decoder,
    /// The series that are known, as hashes, and the metrics.
    known: HashSet<u128>,
    metrics: HashSet<String>,
    /// Rows of other series.
    others: u64,
    ledger: Arc<StepLedger>,
}

impl Reading {
    /// Of rows with these fields.
    pub fn new(settings: RowSettings, ledger: Arc<StepLedger>) -> Self {
        let reader = Reader::new(settings.fields.columns.clone());
        let values = Decoder::new(std::slice::from_ref(&settings.value));
        Self { settings, reader, values, known: HashSet::new(), metrics: HashSet::new(), others: 0, ledger }
    }

    /// What the rows of a batch say, or why that cannot be sent. `now`: seconds.
    pub fn of(&mut self, batch: &Batch, now: i64) -> Vec<Result<Measured, String>> {
        let columns = self.values.decode(&batch.values);
        let read = self.reader.read(&batch.values);
        let measured: Vec<_> = (0..batch.len())
            .map(|row| {
                let column = columns.first().ok_or("no value")?;
                if let Ok(at) = column.faults.binary_search_by_key(&(row as u32), |fault| fault.row) {
                    let kind = column.faults.get(at).map(|fault| fault.kind);
                    return Err(kind.map_or_else(String::new, |kind| self.settings.value.reason(kind)));
                }
                let Cells::Float(cells) = &column.cells else { return Err("no value".to_owned()) };
                let value = cells.get(row).copied().ok_or("no value")?;
                measured(&self.settings, batch, row, &read, value, now)
            })
            .collect();
        measured.into_iter().map(|measured| self.admit(measured?)).collect()
    }

    /// Puts the series of a row with the others once there is no room for more of them.
    fn admit(&mut self, mut measured: Measured) -> Result<Measured, String> {
        let Series { metric, values } = &measured.series;
        let parts = std::iter::once(metric).chain(values).map(|part| format!("{}:{part}", part.len()));
        let hash = xxh3_128(parts.collect::<String>().as_bytes());
        if self.known.contains(&hash) {
            return Ok(measured);
        }
        let most = self.settings.max_series;
        if self.known.len() < most {
            self.known.insert(hash);
            self.metrics.insert(metric.clone());
            return Ok(measured);
        }
        if !self.metrics.contains(metric) || values.is_empty() {
            return Err(format!("a metric beyond the {most} series that `max_series` allows"));
        }
        self.others += 1;
        let remark =
            format!("{} rows are of series beyond the {most} of `max_series`: they count as \"{OTHER}\"", self.others);
        self.ledger.remark("series", Some(remark));
        measured.series.values.fill(OTHER.to_owned());
        Ok(measured)
    }
}

fn measured(
    settings: &RowSettings,
    batch: &Batch,
    row: usize,
    read: &Read<'_>,
    value: f64,
    now: i64,
) -> Result<Measured, String> {
    if let Some(reason) = read.refusal(row) {
        return Err(reason.to_owned());
    }
    if !value.is_finite() || value.abs() > GREATEST {
        return Err("the value is out of the range of CloudWatch, -2^360 to 2^360".to_owned());
    }
    let metric = settings.metric.as_ref().map(|metric| metric.fill(batch, row, read)).transpose()?.unwrap_or_default();
    if !is_name(&metric) || metric.starts_with(':') {
        return Err("the name of the metric is not 1 to 255 ASCII characters".to_owned());
    }
    let mut values = Vec::with_capacity(settings.dimensions.len());
    for (name, field) in &settings.dimensions {
        let text = text(read.cell(*field, row)?).ok_or_else(|| format!("the dimension `{name}` is missing"))?;
        let fits = text.len() <= DIMENSION_CHARS && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !fits || text.trim().is_empty() || text.starts_with(':') {
            return Err(format!("the dimension `{name}` is not 1 to 1024 ASCII characters"));
        }
        values.push(text.into_owned());
    }
    let second = batch.times.get(row).copied().unwrap_or_default().div_euclid(1_000);
    if second < now - PAST {
        return Err("more than two weeks old, which CloudWatch refuses".to_owned());
    }
    if second > now + AHEAD {
        return Err("more than two hours ahead, which CloudWatch refuses".to_owned());
    }
    let second = second.div_euclid(settings.resolution) * settings.resolution;
    Ok(Measured { series: Series { metric, values }, second, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound is the power of two that it is said to be.
    #[test]
    fn the_greatest_value() {
        assert_eq!(GREATEST, 2f64.powi(360));
    }
}
