//! What the `opensearch` sink takes back when a job has gone back to a checkpoint, on a real server.

use crate::harness;
use crate::servers::{OPENSEARCH, http};
use crate::sink_suite::records;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, Opening, SinkWriter, Undo, Withdrawal};
use wasmill_stream::{Batch, Error, Firing, Pane, Result};

/// A log in memory.
#[derive(Debug, Default)]
struct Log {
    is_wanted: AtomicBool,
    entries: Mutex<BTreeMap<String, Bytes>>,
}

impl Log {
    fn names(&self) -> Vec<String> {
        self.entries.lock().expect("no thread panics").keys().cloned().collect()
    }
}

#[async_trait]
impl Undo for Log {
    fn is_wanted(&self) -> bool {
        self.is_wanted.load(Relaxed)
    }

    async fn keep(&self, entry: Bytes) -> Result<()> {
        let mut entries = self.entries.lock().expect("no thread panics");
        let name = format!("{:04}", entries.len());
        entries.insert(name, entry);
        Ok(())
    }

    async fn read(&self, name: &str) -> Result<Bytes> {
        let entries = self.entries.lock().expect("no thread panics");
        entries.get(name).cloned().ok_or_else(|| Error::internal("no such entry"))
    }
}

/// Results of the window 0..10 of some keys.
fn results(pane: Pane, results: &[(&str, u32)]) -> Arc<Batch> {
    let count = results.len();
    let values: Vec<String> = results.iter().map(|(_, n)| document(*n).to_string()).collect();
    Arc::new(Batch {
        step: "count".into(),
        times: vec![9; count],
        keys: Some(results.iter().map(|(key, _)| *key).collect()),
        values: values.iter().collect(),
        firings: Some(vec![Firing { start: 0, end: 10, pane }; count]),
        ..Batch::default()
    })
}

fn document(n: u32) -> Value {
    json!({"@timestamp": "2026-11-21T00:00:00Z", "n": n})
}

async fn open(url: &str, index: &str, run: u64, log: &Arc<Log>, withdrawal: Option<Withdrawal>) -> Box<dyn SinkWriter> {
    open_with(url, index, "", run, log, withdrawal).await
}

async fn open_with(
    url: &str,
    index: &str,
    more: &str,
    run: u64,
    log: &Arc<Log>,
    withdrawal: Option<Withdrawal>,
) -> Box<dyn SinkWriter> {
    let text = format!("endpoint = \"{url}\"\nindex = \"{index}\"\ndynamic_mappings = true\n{more}");
    let sink = harness::sink("opensearch", &text).expect("good settings");
    assert!(sink.withdraws());
    let (ledger, undo) = (Arc::new(StepLedger::new("out")), Some(log.clone() as Arc<dyn Undo>));
    let opening = Opening { commits: true, run, withdrawal, undo, ..Opening::new(ledger) };
    sink.open(opening).await.expect("the sink opens")
}

async fn write(writer: &mut Box<dyn SinkWriter>, batches: &[Arc<Batch>]) {
    for batch in batches {
        writer.write(batch.clone()).await.expect("a write");
        writer.prepare(Cut::Running).await.expect("a checkpoint");
    }
}

/// All documents, by id.
fn documents(url: &str, index: &str) -> BTreeMap<String, Value> {
    http::json("POST", &format!("{url}/{index}/_refresh"), "");
    let found = http::json("GET", &format!("{url}/{index}/_search?size=100"), "");
    let hits = found["hits"]["hits"].as_array().expect("hits");
    hits.iter().map(|hit| (hit["_id"].as_str().expect("an id").to_owned(), hit["_source"].clone())).collect()
}

/// Two results and a record; then, while it is noted what is there, corrections of both, one of them twice, a new result and a
/// new record → taken back, twice as after a crash, there are the first three as they were; and the next run's rows win.
async fn as_before(url: &str, index: &str, expected: usize) {
    let log = Arc::new(Log::default());
    let mut writer = open(url, index, 1_795_000_000, &log, None).await;
    let record = |n| records(0, [document(n).to_string()]);
    write(&mut writer, &[results(Pane::OnTime, &[("a", 1), ("b", 1)]), record(7)]).await;
    let before = documents(url, index);
    assert_eq!((before.len(), log.names().len()), (3, 0), "{before:?}");

    log.is_wanted.store(true, Relaxed);
    let late = |all: &[(&str, u32)]| results(Pane::Late, all);
    let other = Arc::new(Batch { step: "other".into(), ..(*results(Pane::OnTime, &[("c", 5)])).clone() });
    write(&mut writer, &[late(&[("a", 2), ("b", 2)]), late(&[("a", 3)]), other]).await;
    writer.close().await.expect("the end");
    assert_eq!(documents(url, index).len(), expected);
    assert_eq!(log.names().len(), 3);

    for run in [1_795_000_001, 1_795_000_002] {
        let withdrawal = Withdrawal { prepared: Vec::new(), entries: log.names() };
        log.is_wanted.store(false, Relaxed);
        let mut writer = open(url, index, run, &log, Some(withdrawal)).await;
        assert_eq!(documents(url, index), before, "run {run}");
        writer.close().await.expect("the end");
    }
    let mut writer = open(url, index, 1_795_000_003, &log, None).await;
    write(&mut writer, &[late(&[("a", 9)])]).await;
    writer.close().await.expect("the end");
    assert!(documents(url, index).values().any(|document| document["n"] == 9));
}

/// See [`as_before`], in an index.
#[tokio::test]
async fn an_index_is_as_before() {
    let Some(url) = OPENSEARCH.url() else { return };
    as_before(url, "undo", 4).await;
}

/// See [`as_before`], in a data stream, where each correction is a document of its own.
#[tokio::test]
async fn a_data_stream_is_as_before() {
    let Some(url) = OPENSEARCH.url() else { return };
    let template = json!({"index_patterns": ["undo-stream"], "data_stream": {}, "priority": 200});
    http::json("PUT", &format!("{url}/_index_template/undo-stream"), &template.to_string());
    http::json("PUT", &format!("{url}/_data_stream/undo-stream"), "");
    as_before(url, "undo-stream", 7).await;
}

/// Rows with ids of their own, written over and merged, while it is noted what is there → taken back, the documents are as they
/// were, and those that are new are gone.
#[tokio::test]
async fn own_ids_are_as_before() {
    let Some(url) = OPENSEARCH.url() else { return };
    for action in ["index", "upsert"] {
        let (index, more) = (format!("undo-own-{action}"), format!("action = \"{action}\"\nid = \"/id\""));
        let log = Arc::new(Log::default());
        let mut writer = open_with(url, &index, &more, 1, &log, None).await;
        write(&mut writer, &[records(0, ["{\"id\":\"a\",\"n\":1,\"x\":1}", "{\"id\":\"b\",\"n\":1}"])]).await;
        let before = documents(url, &index);
        assert_eq!(before.len(), 2);

        log.is_wanted.store(true, Relaxed);
        let changes = ["{\"id\":\"a\",\"n\":2}", "{\"id\":\"c\",\"n\":2}", "{\"id\":\"a\",\"n\":3}"];
        write(&mut writer, &[records(10, changes), records(20, ["{\"id\":\"c\",\"n\":4}"])]).await;
        writer.close().await.expect("the end");
        assert_eq!(documents(url, &index).len(), 3);

        let withdrawal = Withdrawal { prepared: Vec::new(), entries: log.names() };
        let mut writer = open_with(url, &index, &more, 2, &log, Some(withdrawal)).await;
        assert_eq!(documents(url, &index), before, "{action}");
        writer.close().await.expect("the end");
    }
}
