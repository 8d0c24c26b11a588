//! What the `opensearch` sink asks of the server for a document: `index`, `create`, `update`, `upsert`, and with versions; on a
//! real server, and in what order on the fake.

use crate::fake_search::{FakeSearch, Turn};
use crate::harness;
use crate::opensearch::{counts, open, sink, write};
use crate::servers::{OPENSEARCH, http};
use crate::sink_suite::{self, records};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasmill_stream::Guarantee;

/// The rows of every case: two of one id, of which the newer has a member less, and one of another that comes too late.
const ROWS: [&str; 4] =
    ["{\"id\":\"a\",\"at\":5,\"first\":true}", "{\"id\":\"a\",\"at\":7}", "{\"id\":8,\"at\":3}", "{\"id\":8,\"at\":2}"];

/// All documents of an index, by id.
fn stored(url: &str, index: &str) -> BTreeMap<String, Value> {
    http::json("POST", &format!("{url}/{index}/_refresh"), "");
    let found = http::json("GET", &format!("{url}/{index}/_search?size=1000"), "");
    let hits = found["hits"]["hits"].as_array().expect("hits");
    hits.iter().map(|hit| (hit["_id"].as_str().expect("an id").to_owned(), hit["_source"].clone())).collect()
}

/// Each action, with the same rows, written twice as after a crash → what is there in the end, and what was rejected.
#[tokio::test]
async fn each_action_on_a_server() {
    let Some(url) = OPENSEARCH.url() else { return };
    let (newest, first) = (json!({"id": "a", "at": 7}), json!({"id": "a", "at": 5, "first": true}));
    let merged = json!({"id": "a", "at": 7, "first": true});
    let late = |at: u32| json!({"id": 8, "at": at});
    let cases = [
        ("index", "", [newest.clone(), late(2)], (4, 0)),
        ("create", "", [first, late(3)], (4, 0)),
        ("upsert", "", [merged.clone(), late(2)], (4, 0)),
        ("index", "version = \"/at\"", [newest, late(3)], (4, 0)),
        // Of 8 there is none that it could change.
        ("update", "", [json!({"id": "a", "at": 7, "first": true, "old": 1}), Value::Null], (2, 2)),
    ];
    for (number, (action, more, expected, written)) in cases.into_iter().enumerate() {
        let index = format!("action-{number}");
        if action == "update" {
            http::json("PUT", &format!("{url}/{index}/_doc/a"), "{\"old\":1}");
        }
        for run in [1, 2] {
            let text = format!(
                "endpoint = \"{url}\"\nindex = \"{index}\"\naction = \"{action}\"\nid = \"/id\"\ndynamic_mappings = true\n{more}"
            );
            let sink = harness::sink("opensearch", &text).expect("good settings");
            assert_eq!(sink.guarantee(), Guarantee::EffectivelyOnce);
            assert_eq!(sink.withdraws(), more.is_empty(), "{action} {more}");
            let (mut writer, ledger) = open(sink, run).await;
            write(&mut writer, &ledger, records(0, ROWS)).await;
            writer.close().await.expect("the end");
            assert_eq!(counts(&ledger), written, "{action} {more}: {:?}", ledger.rejects());
            let found = stored(url, &index);
            let of = |id: &str| found.get(id).cloned().unwrap_or_default();
            assert_eq!([of("a"), of("8")], expected, "{action} {more}, run {run}");
            assert_eq!(found.len(), expected.iter().filter(|document| !document.is_null()).count());
        }
    }
}

/// Rows of a data stream and of an index that are there already, from before a restart → nobody is told; one of them is another
/// document, as if two rows had one id → everybody can see it.
#[tokio::test]
async fn a_conflict_that_is_none_of_ours() {
    let Some(url) = OPENSEARCH.url() else { return };
    let template = r#"{"index_patterns":["planted-stream"],"data_stream":{},"priority":500}"#;
    http::json("PUT", &format!("{url}/_index_template/planted-stream"), template);
    let row = |n: usize| format!("{{\"@timestamp\":\"2013-01-01T00:00:00Z\",\"n\":{n}}}");
    for (index, more) in
        [("planted-stream", "data_stream = true"), ("planted", "action = \"create\"\ndynamic_mappings = true")]
    {
        for (run, row, expected) in [(1, row(1), false), (2, row(1), false), (3, row(2), true)] {
            let text = format!("endpoint = \"{url}\"\nindex = \"{index}\"\n{more}");
            let (mut writer, ledger) = open(harness::sink("opensearch", &text).expect("good settings"), run).await;
            write(&mut writer, &ledger, records(0, [row])).await;
            writer.close().await.expect("the end");
            assert_eq!(counts(&ledger), (1, 0));
            let remark = ledger.remarks().remove("ids of out");
            assert_eq!(remark.is_some(), expected, "{index}, run {run}: {remark:?}");
            assert!(remark.is_none_or(|remark| remark.contains("in|in/0|0")));
        }
    }
}

/// Many rows of few ids, several requests at once, a server that refuses some of them for now again and again → of each id the
/// last row stays.
#[tokio::test]
async fn the_last_row_of_an_id_stays() {
    let fake = FakeSearch::start().await;
    let busy = |texts: &[&'static str]| {
        Turn::Except(texts.iter().map(|text| (*text, 429, "rejected_execution_exception")).collect())
    };
    let turns =
        [busy(&["3\"", "8\""]), Turn::Refuse(429, ""), busy(&["1\""]), Turn::Except(vec![]), busy(&["7\"", "2\""])];
    fake.state().script = turns.iter().cycle().take(60).cloned().collect();
    let rows: Vec<_> = (0..300).map(|n| format!("{{\"id\":\"device-{}\",\"n\":\"{n}\"}}", n % 7 % 5)).collect();
    let settings = "id = \"/id\"\nbatch_rows = 4\nconcurrency = 8";
    let (mut writer, ledger) = open(sink(&fake.server.address, settings), 0).await;
    write(&mut writer, &ledger, records(0, &rows)).await;
    writer.close().await.expect("the end");
    assert_eq!(counts(&ledger), (300, 0));
    let last: BTreeMap<_, _> =
        rows.iter().enumerate().map(|(n, row)| (format!("trips/device-{}", n % 7 % 5), row.clone())).collect();
    assert_eq!(fake.state().documents, last);
}

/// Rows without the id that they should bring along are rejected; those of a collection or data stream that takes no such
/// action are found before anything is written.
#[tokio::test]
async fn what_does_not_go_together() {
    let fake = FakeSearch::start().await;
    let (mut writer, ledger) = open(sink(&fake.server.address, "id = \"/id\""), 0).await;
    write(&mut writer, &ledger, records(0, ["{\"id\":\"x\"}", "{}", "{\"id\":1.5}"])).await;
    writer.close().await.expect("the end");
    assert_eq!(counts(&ledger), (1, 2));
    assert!(ledger.rejects().reasons.contains_key("the id is no text and no whole number"), "{:?}", ledger.rejects());

    fake.state().data_stream = true;
    for (more, words) in [("action = \"index\"", "\"create\" only"), ("id = \"/id\"", "data_stream = true")] {
        sink_suite::cannot_open(sink(&fake.server.address, more), &["is a data stream", words]).await;
    }
    let bad = [
        ("action = \"put\"", "`action`: \"put\" is unknown"),
        ("action = \"update\"\ndata_stream = true", "takes action = \"create\" only"),
        ("version = \"/v\"", "`version` needs `id`"),
        ("action = \"upsert\"\nid = \"/i\"\nversion = \"/v\"", "`version` needs `id` and action = \"index\""),
        ("concurrency = 0", "`concurrency`"),
        ("endpoint = []", "`endpoint` is missing"),
    ];
    for (more, message) in bad {
        let endpoint = if more.starts_with("endpoint") { "" } else { "endpoint = \"http://127.0.0.1:1\"" };
        let problems =
            harness::sink("opensearch", &format!("{endpoint}\nindex = \"x\"\n{more}")).err().expect("a mistake");
        assert!(problems.iter().any(|problem| problem.message.contains(message)), "{more}: {problems:?}");
    }
}
