//! Streams: of our fake, of kinesis-mock and of kinesalite. What is written is read back by the source.

use super::network::{Dialect, Network, Parcel, answer_with, body_of, request_with};
use super::run::number;
use super::subject::{Applies, Bound, Order, Subject};
use crate::fake_kinesis::{FakeKinesis, STREAM};
use crate::harness::{self, Listener};
use crate::kinesis_stream::KinesisStream;
use crate::loopback::{Reply, Request};
use crate::servers::{KINESALITE, KINESIS_LOCAL, Server};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmill_stream::sink::Sink;

const DIALECT: Dialect = Dialect {
    parcel,
    throttled: || failure(400, "ProvisionedThroughputExceededException"),
    broken: || failure(500, "InternalFailure"),
    expired: || failure(400, "ExpiredTokenException"),
    partly: Some(partly),
};

fn failure(status: u16, code: &str) -> Reply {
    Reply::Json(status, json!({"__type": code, "message": "by plan"}).to_string())
}

fn records(request: &Request) -> Option<Value> {
    let puts = request.header("x-amz-target").is_some_and(|target| target.ends_with(".PutRecords"));
    puts.then(|| serde_json::from_slice(&request.body).expect("the sink speaks JSON"))
}

fn parcel(request: &Request) -> Option<Parcel> {
    let rows = records(request)?["Records"].as_array().map_or(0, Vec::len);
    Some(Parcel { rows, bytes: request.body.len() })
}

/// Every third record is refused, the first among them.
fn partly(request: &Request, send: &dyn Fn(&Request) -> Vec<u8>) -> Vec<u8> {
    let mut body = records(request).expect("records");
    let all = body["Records"].as_array().expect("records").clone();
    let taken: Vec<_> = all.chunks(3).flat_map(|three| &three[1..]).cloned().collect();
    let mut results = Vec::new().into_iter();
    if !taken.is_empty() {
        body["Records"] = taken.into();
        let answer = body_of(&send(&request_with(request, body.to_string())));
        let answer: Value = serde_json::from_slice(&answer).expect("the server answers in JSON");
        results = answer["Records"].as_array().expect("results").clone().into_iter();
    }
    let refused = || json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "by plan"});
    let result = |at| if at % 3 == 0 { refused() } else { results.next().expect("a result for each record") };
    let results: Vec<_> = (0..all.len()).map(result).collect();
    let failed = results.iter().filter(|result| !result["ErrorCode"].is_null()).count();
    answer_with(200, json!({"FailedRecordCount": failed, "Records": results}).to_string())
}

/// A stream and the way to it.
pub struct Records {
    network: Network,
    url: String,
    stream: String,
    fake: Option<FakeKinesis>,
    /// Whether rows are packed into few records.
    packs: bool,
}

impl Records {
    pub async fn fake() -> Option<Self> {
        let fake = FakeKinesis::with_shards(16);
        let (url, stream) = (fake.url.clone(), STREAM.to_owned());
        Some(Self { network: Network::to(&url, DIALECT), url, stream, fake: Some(fake), packs: false })
    }

    pub async fn packed() -> Option<Self> {
        Self::fake().await.map(|fake| Self { packs: true, ..fake })
    }

    pub async fn kinesis_mock() -> Option<Self> {
        Self::on(&KINESIS_LOCAL).await
    }

    pub async fn kinesalite() -> Option<Self> {
        Self::on(&KINESALITE).await
    }

    pub async fn kinesalite_packed() -> Option<Self> {
        Self::kinesalite().await.map(|server| Self { packs: true, ..server })
    }

    async fn on(server: &Server) -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let url = server.url()?.to_owned();
        let stream = format!("suite-{}", NUMBER.fetch_add(1, Relaxed));
        KinesisStream::create(&url, &stream, 2).await;
        Some(Self { network: Network::to(&url, DIALECT), url, stream, fake: None, packs: false })
    }

    fn settings(&self, url: &str) -> String {
        format!("stream = \"{}\"\nregion = \"us-east-1\"\nendpoint = \"{url}\"\nstart_timeout = \"1m\"\n", self.stream)
    }
}

#[async_trait]
impl Subject for Records {
    const KIND: &'static str = "kinesis";

    fn sink(&self, more: &str) -> Box<dyn Sink> {
        let text = format!("{}aggregate = {}\n{more}", self.settings(&self.network.url), self.packs);
        harness::sink_of_role(Self::KIND, &text, &self.network.lender).expect("good settings")
    }

    async fn visible(&self) -> Vec<usize> {
        let keys = "access_key_id = \"${SECRET}\"\nsecret_access_key = \"${SECRET}\"\n";
        let text = format!("{}{keys}until = \"tip\"\nread_interval = \"1ms\"", self.settings(&self.url));
        let source = harness::source("kinesis", &text).expect("good settings");
        let mut listener = Listener::start(source, 2, 16 << 20);
        listener.finish().await.expect("all is read");
        listener.records.iter().map(|record| number(record.as_bytes())).collect()
    }

    fn network(&self) -> Applies<&Network> {
        Ok(&self.network)
    }

    fn bound_of_rows(&self) -> Applies<Bound> {
        match self.packs {
            // A limit of the service, and not a setting.
            false => Ok(Bound { settings: "", most: 500 }),
            true => Err("a packed record has as many rows as its bytes allow"),
        }
    }

    fn bound_of_bytes(&self) -> Applies<Bound> {
        Err("5 MiB, a limit of the service: the fake refuses more, where the bound of memory is tested")
    }

    fn bound_of_time(&self) -> Applies<&'static str> {
        Ok("flush_interval")
    }

    fn bound_of_memory(&self) -> Applies<Bound> {
        match (&self.fake, self.packs) {
            (Some(_), true) => Ok(Bound { settings: "", most: 18 << 20 }),
            _ => {
                Err("18 MiB take emulators long, and as many records take anybody long: it is tested with packed ones")
            }
        }
    }

    fn order(&self) -> Applies<Order> {
        Ok(Order::Kept("partition_key = \"/key\""))
    }

    fn poison(&self) -> Applies<(&'static str, &'static str)> {
        Ok(("partition_key = \"/key\"", "{\"n\":13}"))
    }
}
