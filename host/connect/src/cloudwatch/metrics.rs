//! The metrics of one namespace, and requests to them. Nothing is tried again in here.

use super::series::{Point, Values};
use super::settings::Settings;
use crate::aws::Caller;
use crate::requests::{Answer, Fate, Service};
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, StatisticSet};
use wasmill_stream::Result;

/// The metrics of a namespace.
pub struct Metrics {
    client: Client,
    caller: Caller,
    namespace: String,
    dimensions: Vec<String>,
    unit: StandardUnit,
    /// Seconds.
    resolution: i32,
}

impl Metrics {
    /// Resolves region and credentials. Sends nothing: there is no question that the right to write answers.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let Settings { namespace, service, rows, gzip, .. } = settings;
        let (access, caller) = service.open(&format!("namespace {namespace}")).await?;
        let mut config = aws_sdk_cloudwatch::config::Builder::from(&access.config);
        config.set_disable_request_compression(Some(!gzip));
        // Otherwise it stays what the environment or the profile says, for all of AWS or for CloudWatch alone.
        if let Some(endpoint) = service.endpoint() {
            config.set_endpoint_url(Some(endpoint));
        }
        Ok(Self {
            client: Client::from_conf(config.build()),
            caller,
            namespace: namespace.clone(),
            dimensions: rows.dimensions.iter().map(|(name, _)| name.clone()).collect(),
            unit: rows.unit.clone(),
            resolution: if rows.resolution == 1 { 1 } else { 60 },
        })
    }

    fn datum(&self, Point { series, second, values }: &Point) -> MetricDatum {
        let named = self.dimensions.iter().zip(&series.values);
        let dimensions = named.map(|(name, value)| Dimension::builder().name(name).value(value).build()).collect();
        let datum = MetricDatum::builder()
            .metric_name(&series.metric)
            .set_dimensions(Some(dimensions))
            .timestamp(DateTime::from_secs(*second))
            .unit(self.unit.clone())
            .storage_resolution(self.resolution);
        match values {
            Values::Each(all) => {
                let (values, counts) = all.values().copied().unzip();
                datum.set_values(Some(values)).set_counts(Some(counts)).build()
            }
            Values::Set { count, sum, least, greatest } => {
                let set = StatisticSet::builder().sample_count(*count).sum(*sum).minimum(*least).maximum(*greatest);
                datum.statistic_values(set.build()).build()
            }
        }
    }
}

impl Service for Metrics {
    type Item = Point;

    async fn send(&self, points: &[&Point]) -> Result<Answer> {
        let data = points.iter().map(|point| self.datum(point)).collect();
        let request = self.client.put_metric_data().namespace(&self.namespace).set_metric_data(Some(data));
        match request.send().await.inspect(|_| self.caller.was_taken()) {
            Ok(_) => Ok(Answer::Items(vec![Fate::Done; points.len()])),
            Err(error) => self.caller.verdict(&format!("put {} data points", points.len()), error),
        }
    }

    fn renew_credentials(&self) {
        self.caller.renew_credentials();
    }
}
