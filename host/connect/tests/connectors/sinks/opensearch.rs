//! Indexes: on our fake, and on a real server.

use super::network::{Dialect, Network, Parcel, answer_with, body_of, request_with};
use super::run::number;
use super::subject::{Applies, Bound, Order, Subject};
use crate::fake_search::FakeSearch;
use crate::harness;
use crate::loopback::{Reply, Request};
use crate::servers::{OPENSEARCH, http};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmill_stream::sink::Sink;

const DIALECT: Dialect = Dialect {
    parcel,
    throttled: || Reply::Json(429, "{\"error\":\"by plan\",\"status\":429}".to_owned()),
    broken: || Reply::Json(503, "{\"error\":\"by plan\",\"status\":503}".to_owned()),
    expired: || {
        let message = "The security token included in the request is expired";
        Reply::Json(403, json!({"message": message}).to_string())
    },
    partly: Some(partly),
};

/// Two lines for each document.
fn parcel(request: &Request) -> Option<Parcel> {
    let rows = request.body.iter().filter(|byte| **byte == b'\n').count() / 2;
    request.target.contains("_bulk").then_some(Parcel { rows, bytes: request.body.len() })
}

/// Every third document is refused.
fn partly(request: &Request, send: &dyn Fn(&Request) -> Vec<u8>) -> Vec<u8> {
    let lines: Vec<_> = request.body.split_inclusive(|byte| *byte == b'\n').collect();
    let documents: Vec<_> = lines.chunks(2).map(<[_]>::concat).collect();
    let taken: Vec<_> = documents.chunks(3).flat_map(|three| &three[..three.len().min(2)]).cloned().collect();
    let answer = body_of(&send(&request_with(request, taken.concat())));
    let mut answer: Value = serde_json::from_slice(&answer).expect("the server answers in JSON");
    let mut items = answer["items"].as_array().expect("items").clone().into_iter();
    let refused = || json!({"index": {"status": 429, "error": {"type": "rejected_execution_exception"}}});
    let item = |at| if at % 3 == 2 { refused() } else { items.next().expect("an item for each document") };
    answer["items"] = (0..documents.len()).map(item).collect();
    answer["errors"] = (documents.len() > 2 || answer["errors"] == true).into();
    answer_with(200, answer.to_string())
}

/// An index and the way to it.
pub struct Documents {
    network: Network,
    index: String,
    /// The real server, or the fake.
    server: Result<&'static str, FakeSearch>,
}

impl Documents {
    pub async fn fake() -> Option<Self> {
        let fake = FakeSearch::start().await;
        let network = Network::to(&fake.server.address, DIALECT);
        Some(Self { network, index: "trips".to_owned(), server: Err(fake) })
    }

    pub async fn server() -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let url = OPENSEARCH.url()?;
        let index = format!("suite-{}", NUMBER.fetch_add(1, Relaxed));
        Some(Self { network: Network::to(url, DIALECT), index, server: Ok(url) })
    }
}

#[async_trait]
impl Subject for Documents {
    const KIND: &'static str = "opensearch";

    fn sink(&self, more: &str) -> Box<dyn Sink> {
        let (url, index, lender) = (&self.network.url, &self.index, &self.network.lender);
        let text = format!(
            "endpoint = \"{url}\"\nindex = \"{index}\"\nstart_timeout = \"1m\"\nauth = \"sigv4\"\n\
             region = \"eu-west-1\"\nmappings = {{ properties = {{ n = {{ type = \"long\" }} }} }}\n{more}"
        );
        harness::sink_of_role(Self::KIND, &text, lender).expect("good settings")
    }

    async fn visible(&self) -> Vec<usize> {
        match &self.server {
            Err(fake) => fake.state().documents.values().map(|document| number(document.as_bytes())).collect(),
            Ok(url) => {
                http::json("POST", &format!("{url}/{}/_refresh", self.index), "");
                let found = http::json("GET", &format!("{url}/{}/_search?size=10000", self.index), "");
                let hits = found["hits"]["hits"].as_array().expect("hits");
                hits.iter().map(|hit| number(hit["_source"].to_string().as_bytes())).collect()
            }
        }
    }

    fn network(&self) -> Applies<&Network> {
        Ok(&self.network)
    }

    fn bound_of_rows(&self) -> Applies<Bound> {
        Ok(Bound { settings: "batch_rows = 10", most: 10 })
    }

    fn bound_of_bytes(&self) -> Applies<Bound> {
        Ok(Bound { settings: "batch_bytes = \"8KiB\"", most: 8 << 10 })
    }

    fn bound_of_time(&self) -> Applies<&'static str> {
        Ok("flush_interval")
    }

    fn bound_of_memory(&self) -> Applies<Bound> {
        Ok(Bound { settings: "batch_bytes = \"32KiB\"\nin_flight_bytes = \"64KiB\"", most: 128 << 10 })
    }

    fn order(&self) -> Applies<Order> {
        Ok(Order::Last("id = \"/key\"\nbatch_rows = 10"))
    }

    fn poison(&self) -> Applies<(&'static str, &'static str)> {
        match self.server {
            Ok(_) => Ok(("", "{\"n\":\"no number\"}")),
            Err(_) => Ok(("", "no object")),
        }
    }
}
