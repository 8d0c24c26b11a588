//! Metrics of our fake: moto does not speak the protocol of the sink. The number of a row is its value.

use super::network::{Dialect, Network, Parcel};
use super::subject::{Applies, Bound, Order, Subject};
use crate::cbor;
use crate::fake_cloudwatch::FakeCloudWatch;
use crate::harness;
use crate::loopback::{Reply, Request};
use async_trait::async_trait;
use serde_json::Value;
use wasmill_stream::sink::Sink;

const DIALECT: Dialect = Dialect {
    parcel,
    throttled: || failure(400, "ThrottlingException"),
    broken: || failure(500, "InternalServiceFault"),
    expired: || failure(403, "ExpiredTokenException"),
    partly: None,
};

/// A map of two short texts.
fn failure(status: u16, code: &str) -> Reply {
    let text = |text: &str| [&[0x78, text.len() as u8], text.as_bytes()].concat();
    let body = [&[0xa2][..], &text("__type"), &text(code), &text("message"), &text("by plan")].concat();
    let headers = vec![("content-type", "application/cbor".to_owned()), ("smithy-protocol", "rpc-v2-cbor".to_owned())];
    Reply::Full(status, headers, body)
}

fn parcel(request: &Request) -> Option<Parcel> {
    let points = cbor::read(&request.body)["MetricData"].as_array().map_or(0, Vec::len);
    Some(Parcel { rows: points, bytes: request.body.len() })
}

/// The values of a data point, each as often as it counts.
fn values(point: &Value) -> Vec<usize> {
    let numbers = |name: &str| {
        let numbers = point[name].as_array().expect("numbers").iter();
        numbers.map(|number| number.as_f64().expect("a number") as usize).collect::<Vec<_>>()
    };
    let counted = numbers("Values").into_iter().zip(numbers("Counts"));
    counted.flat_map(|(value, count)| vec![value; count]).collect()
}

/// A namespace and the way to it.
pub struct Metrics {
    network: Network,
    fake: FakeCloudWatch,
    /// About now, ms: older data points are refused.
    begun: i64,
}

impl Metrics {
    pub async fn fake() -> Option<Self> {
        let fake = FakeCloudWatch::start().await;
        let begun = jiff::Timestamp::now().as_millisecond();
        Some(Self { network: Network::to(fake.address(), DIALECT), fake, begun })
    }
}

#[async_trait]
impl Subject for Metrics {
    const KIND: &'static str = "cloudwatch";

    fn sink(&self, more: &str) -> Box<dyn Sink> {
        let (url, lender) = (&self.network.url, &self.network.lender);
        let text = format!(
            "namespace = \"suite\"\nendpoint = \"{url}\"\nregion = \"eu-west-1\"\nstart_timeout = \"1m\"\ngzip = false\n\
             metric = \"n\"\nvalue = \"/n\"\nresolution = 1\ndimensions = {{ key = \"/key\" }}\n{more}"
        );
        harness::sink_of_role(Self::KIND, &text, lender).expect("good settings")
    }

    async fn visible(&self) -> Vec<usize> {
        self.fake.state().points.iter().flat_map(values).collect()
    }

    fn network(&self) -> Applies<&Network> {
        Ok(&self.network)
    }

    fn bound_of_rows(&self) -> Applies<Bound> {
        Err("rows are put together before they are sent; a request has 1,000 data points at most, of 150 values")
    }

    fn bound_of_bytes(&self) -> Applies<Bound> {
        Err("1 MB, a limit of the service, which the fake holds it to")
    }

    fn bound_of_time(&self) -> Applies<&'static str> {
        Ok("flush_interval")
    }

    fn bound_of_memory(&self) -> Applies<Bound> {
        Err("it keeps values and not rows: 100,000 of them at most")
    }

    fn order(&self) -> Applies<Order> {
        Err("data points have no order")
    }

    fn poison(&self) -> Applies<(&'static str, &'static str)> {
        Ok(("", "{\"key\":\"without a number\"}"))
    }

    fn time_of(&self, _row: usize) -> i64 {
        self.begun
    }
}
