//! Families as the JSON of the OpenTelemetry protocol, `ExportMetricsServiceRequest`. Sums are cumulative and have no start: a
//! counter that begins anew with another run of its job is seen by its value.

use super::page::{Family, Labels, Numbers};
use prometheus_client::registry::Unit;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};
use wasmill_stream::ledger::{BOUNDS, Latencies};

/// The protocol's word for sums since the beginning.
const CUMULATIVE: u8 = 2;

/// A request with these families, as they were just now.
pub fn otlp(families: Vec<Family>) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()).to_string();
    let metrics: Vec<_> = families.into_iter().map(|family| metric(family, &now)).collect();
    let version = env!("CARGO_PKG_VERSION");
    let service = [("service.name", "wasmill"), ("service.version", version)];
    let service = attributes(&service.map(|(name, value)| (name.into(), value.to_owned())));
    json!({"resourceMetrics": [{
        "resource": {"attributes": service},
        "scopeMetrics": [{"scope": {"name": "wasmill", "version": version}, "metrics": metrics}],
    }]})
}

fn metric(Family { name, help, unit, numbers }: Family, now: &str) -> Value {
    let unit = match unit {
        Some(Unit::Seconds) => "s",
        Some(Unit::Bytes) => "By",
        _ => "1",
    };
    let point = |labels: &Labels, mut value: Value| {
        value["attributes"] = attributes(labels);
        value["timeUnixNano"] = now.into();
        value
    };
    // 64-bit integers are texts in the JSON of protocol buffers.
    let count = |(labels, count): &(Labels, u64)| point(labels, json!({"asInt": count.to_string()}));
    let number = |(labels, number): &(Labels, f64)| point(labels, json!({"asDouble": number}));
    let histogram = |(labels, seen): &(Labels, Latencies)| {
        let bounds = BOUNDS.map(|millis| millis as f64 / 1e3);
        let counts = seen.buckets.map(|count| count.to_string());
        let (count, sum) = (seen.count().to_string(), seen.sum.as_secs_f64());
        point(labels, json!({"count": count, "sum": sum, "bucketCounts": counts, "explicitBounds": bounds}))
    };
    let sum = |points: Vec<Value>| {
        ("sum", json!({"aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points}))
    };
    let (kind, data) = match numbers {
        Numbers::Counts(series) => sum(series.iter().map(count).collect()),
        Numbers::Sums(series) => sum(series.iter().map(number).collect()),
        Numbers::Gauges(series) => ("gauge", json!({"dataPoints": series.iter().map(number).collect::<Vec<_>>()})),
        Numbers::Latencies(series) => {
            let points: Vec<_> = series.iter().map(histogram).collect();
            ("histogram", json!({"aggregationTemporality": CUMULATIVE, "dataPoints": points}))
        }
    };
    json!({"name": name, "description": help, "unit": unit, kind: data})
}

fn attributes(labels: &[(Cow<'static, str>, String)]) -> Value {
    labels.iter().map(|(name, value)| json!({"key": name, "value": {"stringValue": value}})).collect()
}
