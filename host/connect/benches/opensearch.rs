//! What writing documents costs: rows into `_bulk` requests and their answers back, by the `opensearch` sink and by a bare loop
//! over the client library, whose operations serde_json writes. Counted is the CPU time of the one thread on which the writer
//! runs, so that the server, which has threads of its own and keeps nothing, and the network cost nothing.

#[allow(dead_code)]
#[path = "../../../tests/harness/loopback.rs"]
mod loopback;

use cpu_time::ThreadTime;
use loopback::Reply;
use opensearch::http::transport::Transport;
use opensearch::{BulkOperation, BulkParts, OpenSearch};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;
use wasmill_connect::SINKS;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink};
use wasmill_stream::{Batch, Lineage, Positions, SplitId};

const ROWS: usize = 100_000;
const BYTES: usize = 300;
/// Rows of a batch, and documents of a request.
const BATCH: usize = 1_000;
/// Rounds, of which the best counts: others use the machine, too.
const ROUNDS: usize = 5;

fn main() {
    let url = server();
    let rows: Vec<String> = (0..ROWS).map(row).collect();
    let batches: Vec<_> = rows.chunks(BATCH).enumerate().map(|(number, rows)| batch(number, rows)).collect();
    let ours = best(|| by_sink(&url, &batches));
    println!("the sink: {}", speed(ours));
    for (what, values) in [("of values", true), ("of raw text", false)] {
        let bare = best(|| by_library(&url, &rows, values));
        println!("    the client library, {what}: {}, ratio {:.2}", speed(bare), bare.div_duration_f64(ours));
    }
}

fn speed(cost: Duration) -> String {
    let per_row = cost.as_nanos() as f64 / ROWS as f64;
    format!("{:.0} rows/s per core, {per_row:.0} ns per row", 1e9 / per_row)
}

/// Says of every document that it is stored, and keeps none.
fn server() -> String {
    loopback::serve(|request| {
        let documents = request.body.iter().filter(|byte| **byte == b'\n').count() / 2;
        let item = r#"{"index":{"_index":"rows","_id":"rows|in/0|12345","_version":1,"result":"created","_shards":{"total":2,"successful":1,"failed":0},"_seq_no":1,"_primary_term":1,"status":201}}"#;
        let items = vec![item; documents].join(",");
        Reply::Json(
            200,
            match request.method.as_str() {
                "POST" => format!(r#"{{"took":1,"errors":false,"items":[{items}]}}"#),
                _ => r#"{"rows":{"mappings":{}}}"#.to_owned(),
            },
        )
    })
}

fn row(number: usize) -> String {
    let mut row = format!("{{\"number\":{number},\"at\":\"2013-01-01T00:00:00Z\",\"place\":\"dr5ru7\",\"text\":\"");
    row.extend(std::iter::repeat_n('x', BYTES - 2 - row.len()));
    row + "\"}"
}

fn batch(number: usize, rows: &[String]) -> Arc<Batch> {
    let positions = Arc::new(Positions::Consecutive { first: (number * BATCH) as u64 });
    let lineage = Lineage { split: SplitId::new("in", 0), positions, records: None, bytes: None };
    Arc::new(Batch {
        step: "rows".into(),
        times: vec![0; rows.len()],
        values: rows.iter().collect(),
        lineage: Some(lineage),
        ..Batch::default()
    })
}

/// The best of several rounds.
fn best(mut round: impl FnMut()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let begun = ThreadTime::now();
        round();
        begun.elapsed()
    });
    rounds.min().expect("there are rounds")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be had")
}

fn by_sink(url: &str, batches: &[Arc<Batch>]) {
    runtime().block_on(async {
        let ledger = Arc::new(StepLedger::new("out"));
        let mut writer = sink(url).open(Opening::new(ledger.clone())).await.expect("the sink opens");
        for batch in batches {
            StepLedger::add(&ledger.read, batch.len());
            writer.write(batch.clone()).await.expect("a write");
        }
        writer.close().await.expect("the end");
        assert_eq!(ledger.counts().written, ROWS as u64);
    });
}

fn sink(url: &str) -> Box<dyn Sink> {
    let settings = format!("endpoint = \"{url}\"\nindex = \"rows\"\nbatch_rows = {BATCH}");
    let table = DeTable::parse(&settings).expect("valid TOML");
    let (place, parameters) = (table.span(), |_: &str| None);
    let mut section = Section::new("sink out", place, table.into_inner(), &parameters);
    let kind = SINKS.iter().find(|sink| sink.name == "opensearch").expect("it is listed");
    (kind.check)("out", &mut section, &mut Problems::default()).expect("good settings")
}

/// The same requests, one after the other, from rows read into values, or passed on as they are.
fn by_library(url: &str, rows: &[String], values: bool) {
    runtime().block_on(async {
        let client = OpenSearch::new(Transport::single_node(url).expect("an address"));
        let mut stored = 0;
        for (number, rows) in rows.chunks(BATCH).enumerate() {
            let id = |row: usize| format!("rows|in/0|{}", number * BATCH + row);
            let request = client.bulk(BulkParts::Index("rows"));
            let answer = if values {
                let operation = |(at, row): (usize, &String)| {
                    BulkOperation::index(serde_json::from_str::<Value>(row).expect("JSON")).id(id(at)).into()
                };
                request.body(rows.iter().enumerate().map(operation).collect::<Vec<BulkOperation<Value>>>()).send().await
            } else {
                let lines = |(at, row): (usize, &String)| [json!({"index": {"_id": id(at)}}).to_string(), row.clone()];
                request.body(rows.iter().enumerate().flat_map(lines).collect::<Vec<_>>()).send().await
            };
            let answer: Value = answer.expect("an answer").json().await.expect("JSON");
            stored +=
                answer["items"].as_array().expect("items").iter().filter(|item| item["index"]["status"] == 201).count();
        }
        assert_eq!(stored, ROWS);
    });
}
