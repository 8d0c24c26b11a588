//! Tables on moto.

use super::network::{Dialect, Network, Parcel, answer_with, body_of, request_with};
use super::subject::{Applies, Bound, Order, Subject};
use crate::dynamodb::moto;
use crate::harness;
use crate::loopback::{Reply, Request};
use crate::servers::MOTO;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmill_stream::sink::Sink;

const DIALECT: Dialect = Dialect {
    parcel,
    throttled: || failure(400, "ProvisionedThroughputExceededException"),
    broken: || failure(500, "InternalServerError"),
    expired: || failure(400, "ExpiredTokenException"),
    partly: Some(partly),
};

fn failure(status: u16, code: &str) -> Reply {
    Reply::Json(status, json!({"__type": code, "message": "by plan"}).to_string())
}

/// The only table of a request, and what is put into it.
fn items(request: &Request) -> Option<(String, Vec<Value>)> {
    let writes = request.header("x-amz-target").is_some_and(|target| target.ends_with(".BatchWriteItem"));
    let body: Value = serde_json::from_slice(&request.body).ok().filter(|_| writes)?;
    let (table, items) = body["RequestItems"].as_object()?.iter().next()?;
    Some((table.clone(), items.as_array()?.clone()))
}

fn parcel(request: &Request) -> Option<Parcel> {
    items(request).map(|(_, items)| Parcel { rows: items.len(), bytes: request.body.len() })
}

/// Every third item is left over, the first among them.
fn partly(request: &Request, send: &dyn Fn(&Request) -> Vec<u8>) -> Vec<u8> {
    let (table, items) = items(request).expect("items");
    let (left, taken): (Vec<_>, Vec<_>) = items.into_iter().enumerate().partition(|(at, _)| at % 3 == 0);
    let [left, taken] = [left, taken].map(|some| some.into_iter().map(|(_, item)| item).collect::<Vec<_>>());
    if !taken.is_empty() {
        let answer = body_of(&send(&request_with(request, json!({"RequestItems": {&table: taken}}).to_string())));
        assert!(answer.starts_with(b"{\"UnprocessedItems\""), "{}", String::from_utf8_lossy(&answer));
    }
    answer_with(200, json!({"UnprocessedItems": {&table: left}}).to_string())
}

/// Two tables, by the number of a row and by its key, and the way to them.
pub struct Tables {
    network: Network,
    by_number: String,
    by_key: String,
}

impl Tables {
    pub async fn moto() -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let url = MOTO.url()?;
        let by_number = format!("suite-{}", NUMBER.fetch_add(1, Relaxed));
        let by_key = format!("{by_number}-keys");
        for (table, attribute, kind) in [(&by_number, "n", "N"), (&by_key, "key", "S")] {
            let create = json!({
                "TableName": table, "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": attribute, "AttributeType": kind}],
                "KeySchema": [{"AttributeName": attribute, "KeyType": "HASH"}],
            });
            moto("CreateTable", &create);
        }
        Some(Self { network: Network::to(url, DIALECT), by_number, by_key })
    }
}

#[async_trait]
impl Subject for Tables {
    const KIND: &'static str = "dynamodb";

    fn sink(&self, more: &str) -> Box<dyn Sink> {
        let table = if more.contains("/key") { &self.by_key } else { &self.by_number };
        let (url, lender) = (&self.network.url, &self.network.lender);
        let text = format!(
            "table = \"{table}\"\nendpoint = \"{url}\"\nregion = \"eu-west-1\"\nstart_timeout = \"1m\"\n{more}"
        );
        harness::sink_of_role(Self::KIND, &text, lender).expect("good settings")
    }

    async fn visible(&self) -> Vec<usize> {
        let scan = |table| moto("Scan", &json!({"TableName": table})).expect("it was there");
        let found = [&self.by_number, &self.by_key].map(scan);
        assert!(found.iter().all(|page| page["LastEvaluatedKey"].is_null()), "all fit one page");
        let items = found.iter().flat_map(|page| page["Items"].as_array().expect("items"));
        items.map(|item| item["n"]["N"].as_str().and_then(|n| n.parse().ok()).expect("a number")).collect()
    }

    fn network(&self) -> Applies<&Network> {
        Ok(&self.network)
    }

    fn bound_of_rows(&self) -> Applies<Bound> {
        // A limit of the service, and not a setting.
        Ok(Bound { settings: "", most: 25 })
    }

    fn bound_of_bytes(&self) -> Applies<Bound> {
        Err("16 MiB, a limit of the service, which 25 items do not come to easily")
    }

    fn bound_of_time(&self) -> Applies<&'static str> {
        Ok("flush_interval")
    }

    fn bound_of_memory(&self) -> Applies<Bound> {
        Ok(Bound { settings: "in_flight_bytes = \"64KiB\"", most: 256 << 10 })
    }

    fn order(&self) -> Applies<Order> {
        Ok(Order::Last("partition_key = \"/key\""))
    }

    fn poison(&self) -> Applies<(&'static str, &'static str)> {
        Ok(("", "{\"key\":\"without a number\"}"))
    }
}
