//! The `opensearch` sink against a fake that fails by script, and against a real server.

use crate::fake_search::{FakeSearch, Turn};
use crate::harness;
use crate::http::refusing_address;
use crate::servers::OPENSEARCH;
use crate::sink_suite::{self, records, write_batches};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, ErrorKind, Firing, Guarantee, Pane};

pub fn sink(address: &str, more: &str) -> Box<dyn Sink> {
    let text = format!("endpoint = \"{address}\"\nindex = \"trips\"\nstart_timeout = \"300ms\"\n{more}\n");
    harness::sink("opensearch", &text).expect("good settings")
}

pub fn documents(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("{{\"n\":\"<{number}>\"}}")).collect()
}

pub fn counts(ledger: &StepLedger) -> (u64, u64) {
    assert_eq!(ledger.counts().in_flight(), 0, "{}", ledger.counts());
    (ledger.written.load(Relaxed), ledger.rejected.load(Relaxed))
}

/// One answer with a stored, a conflicting, a malformed, two busy and a failing document → only what may pass is sent
/// again, and each document ends in the index or among the rejected exactly once.
#[tokio::test]
async fn items_are_judged_one_by_one() {
    let fake = FakeSearch::start().await;
    let busy = [
        ("<1>", 409, "version_conflict_engine_exception"),
        ("<2>", 400, "mapper_parsing_exception"),
        ("<3>", 429, "rejected_execution_exception"),
        ("<4>", 403, "cluster_block_exception"),
        ("<5>", 500, "null_pointer_exception"),
    ];
    fake.state().script = [Turn::Except(busy.to_vec()), Turn::Except(busy[3..].to_vec())].into();
    let ledger =
        write_batches(sink(&fake.server.address, ""), &[records(0, documents(0..7))]).await.expect("nothing fatal");
    assert_eq!(counts(&ledger), (6, 1));
    let reasons = ledger.rejects().reasons;
    assert_eq!(reasons.keys().collect::<Vec<_>>(), ["mapper_parsing_exception: scripted"]);
    let state = fake.state();
    assert_eq!(state.bulk_sizes(), [7, 3, 2]);
    let stored: Vec<_> = state.documents.values().cloned().collect();
    let expected = documents(0..7).into_iter().filter(|d| !d.contains("<1>") && !d.contains("<2>"));
    assert_eq!(stored, expected.collect::<Vec<_>>());
    assert!(state.documents.contains_key("trips/in|in/0|3"));
}

/// A document that the server fails over every time is given up after a few tries, its neighbours are not held up.
#[tokio::test]
async fn a_poisonous_document_ends() {
    let fake = FakeSearch::start().await;
    fake.state().script = vec![Turn::Except(vec![("<1>", 500, "stack_overflow")]); 100].into();
    let ledger =
        write_batches(sink(&fake.server.address, ""), &[records(0, documents(0..3))]).await.expect("nothing fatal");
    assert_eq!(counts(&ledger), (2, 1));
}

/// Two halves of a request, in each of which the server fails over a document for a while → both are written: what became of
/// the first half is no try of the second.
#[tokio::test]
async fn tries_are_counted_by_document() {
    let fake = FakeSearch::start().await;
    let fails_over = |document| vec![Turn::Except(vec![(document, 500, "null_pointer_exception")]); 3];
    let whole = Turn::Refuse(413, "");
    fake.state().script =
        [vec![whole], fails_over("<0>"), vec![Turn::Except(vec![])], fails_over("<1>")].concat().into();
    let ledger =
        write_batches(sink(&fake.server.address, ""), &[records(0, documents(0..2))]).await.expect("nothing fatal");
    assert_eq!(counts(&ledger), (2, 0), "{:?}", ledger.rejects());
    assert_eq!(fake.state().bulk_sizes(), [2, 1, 1, 1, 1, 1, 1, 1, 1]);
}

/// Requests are halved until they fit, later ones are made smaller at once; the one document that never fits is rejected.
#[tokio::test]
async fn too_large_is_halved() {
    let fake = FakeSearch::start().await;
    fake.state().limit = Some(600);
    let mut values = documents(0..32);
    values[9] = format!("{{\"n\":\"{}\"}}", "x".repeat(700));
    let batches = [records(0, values), records(0, documents(0..32))];
    let ledger = write_batches(sink(&fake.server.address, "batch_rows = 32\nconcurrency = 1"), &batches)
        .await
        .expect("nothing fatal");
    assert_eq!(counts(&ledger), (63, 1));
    assert!(ledger.rejects().examples[0].contains("record 9: HTTP 413"), "{:?}", ledger.rejects());
    let state = fake.state();
    // Row 9 has the same id in both batches.
    assert_eq!(state.documents.len(), 32);
    // 0..32, then 8..16, whose neighbours are made small enough at once, and 9; none of the second batch.
    assert_eq!(state.requests.iter().filter(|request| request.body.len() > 600).count(), 3);
}

/// A request that the server cannot read as a whole is halved down to the document to blame.
#[tokio::test]
async fn malformed_is_halved() {
    let fake = FakeSearch::start().await;
    let refuse = Turn::Refuse(400, r#"{"error":{"type":"parse_exception","reason":"bad line"},"status":400}"#);
    // 4 documents, then 0 and 1, then 0 alone.
    fake.state().script = [refuse.clone(), refuse.clone(), refuse].into();
    let ledger =
        write_batches(sink(&fake.server.address, ""), &[records(0, documents(0..4))]).await.expect("nothing fatal");
    assert_eq!(counts(&ledger), (3, 1));
    assert_eq!(fake.state().bulk_sizes(), [4, 2, 1, 1, 2]);
    assert!(ledger.rejects().examples[0].ends_with("parse_exception: bad line"));
}

/// Values that are no JSON object are rejected with their position and never reach the server; a pretty-printed one does.
#[tokio::test]
async fn only_objects_are_sent() {
    let fake = FakeSearch::start().await;
    let values = ["{\"n\":\n1}", "", "[1]", "{\"a\":1}\n{\"b\":2}", "{}"];
    let ledger = write_batches(sink(&fake.server.address, ""), &[records(0, values)]).await.expect("nothing fatal");
    assert_eq!(counts(&ledger), (2, 3));
    assert_eq!(fake.state().documents.values().collect::<Vec<_>>(), ["{\"n\": 1}", "{}"]);
    assert!(ledger.rejects().examples[0].contains("record 1: not a JSON object"), "{:?}", ledger.rejects());
}

/// An index that follows event time gets each row into the index of its day.
#[tokio::test]
async fn an_index_per_day() {
    let fake = FakeSearch::start().await;
    let text = format!("endpoint = \"{}\"\nindex = \"trips-{{+%Y.%m.%d}}\"", fake.server.address);
    let sink = harness::sink("opensearch", &text).expect("good settings");
    write_batches(sink, &[records(0, ["{}"]), records(86_400_000, ["{}"])]).await.expect("nothing fatal");
    let indexes: Vec<_> =
        fake.state().documents.keys().filter_map(|key| key.split('/').next().map(str::to_owned)).collect();
    assert_eq!(indexes, ["trips-1970.01.01", "trips-1970.01.02"]);
}

/// An index that follows event time, on a server that has none of them yet and answers with an empty list → what the job file
/// says about them holds.
#[tokio::test]
async fn no_index_of_a_pattern() {
    let fake = FakeSearch::start().await;
    fake.state().other = Some((200, "{}"));
    for (more, action) in [("data_stream = true", "create"), ("data_stream = false", "index"), ("", "index")] {
        let text = format!(
            "endpoint = \"{}\"\nindex = \"trips-{{+%Y}}\"\ndynamic_mappings = true\n{more}",
            fake.server.address
        );
        let sink = harness::sink("opensearch", &text).expect("good settings");
        write_batches(sink, &[records(0, ["{}"])]).await.expect("nothing fatal");
        let state = fake.state();
        let bulk = state.requests.last().map(|request| String::from_utf8_lossy(&request.body).into_owned());
        assert!(bulk.is_some_and(|bulk| bulk.starts_with(&format!("{{\"{action}\":"))), "{more}: {:?}", state.requests);
    }
}

/// The job file's mappings create an index that is missing.
#[tokio::test]
async fn mappings_create_the_index() {
    let fake = FakeSearch::start().await;
    fake.state().missing = true;
    let mappings = "[mappings]\nproperties = { location = { type = \"geo_point\" } }";
    write_batches(sink(&fake.server.address, mappings), &[]).await.expect("nothing fatal");
    let state = fake.state();
    let put = state.requests.iter().find(|request| request.method == "PUT").expect("the index is created");
    let body: serde_json::Value = serde_json::from_slice(&put.body).expect("JSON");
    assert_eq!(put.target, "/trips");
    assert_eq!(body["mappings"]["properties"]["location"]["type"], "geo_point");
}

/// User name and password go along with every request; a serverless collection of time series gets signed requests,
/// no ids, and the honest promise.
#[tokio::test]
async fn requests_are_signed() {
    let fake = FakeSearch::start().await;
    let basic = sink(&fake.server.address, "auth = \"basic\"\nusername = \"admin\"\npassword = \"${SECRET}\"");
    write_batches(basic, &[records(0, ["{}"])]).await.expect("nothing fatal");
    assert!(
        fake.state().requests.iter().all(|request| request.header("authorization") == "Basic YWRtaW46aHVudGVyMg==")
    );

    let fake = FakeSearch::start().await;
    let keys = "access_key_id = \"${SECRET}\"\nsecret_access_key = \"${SECRET}\"\nregion = \"eu-west-1\"";
    let more = format!("auth = \"sigv4\"\nservice = \"aoss\"\ncollection = \"time-series\"\n{keys}");
    let signed = sink(&fake.server.address, &more);
    assert_eq!(signed.guarantee(), Guarantee::AtLeastOnce);
    write_batches(signed, &[records(0, ["{}"])]).await.expect("nothing fatal");
    let state = fake.state();
    assert!(
        state.requests.iter().all(|request| request.header("authorization").contains("/eu-west-1/aoss/aws4_request"))
    );
    assert_eq!(state.documents.keys().collect::<Vec<_>>(), ["trips/#0"]);
}

/// A server that refuses us or does not listen ends the job at start, with its address and its own words.
#[tokio::test]
async fn refusals_name_everything() {
    let fake = FakeSearch::start().await;
    let address = fake.server.address.clone();
    fake.state().other = Some((401, "Unauthorized"));
    let error = write_batches(sink(&address, ""), &[]).await.expect_err("not let in");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.report().contains(&address) && error.report().contains("\"Unauthorized\""), "{}", error.report());

    let nobody = refusing_address().await;
    let error = write_batches(sink(&nobody, ""), &[]).await.expect_err("nobody listens");
    for part in ["gave up after", nobody.as_str(), "refused"] {
        assert!(error.report().contains(part), "{part}: {}", error.report());
    }
}

/// The result of the window 0..10 of each key.
pub fn results(pane: Pane, results: &[(&str, &str)]) -> Arc<Batch> {
    let count = results.len();
    Arc::new(Batch {
        step: "count".into(),
        times: vec![9; count],
        keys: Some(results.iter().map(|(key, _)| *key).collect()),
        values: results.iter().map(|(_, value)| *value).collect(),
        firings: Some(vec![Firing { start: 0, end: 10, pane }; count]),
        ..Batch::default()
    })
}

/// The writer of this run, and its counters.
pub async fn open(sink: Box<dyn Sink>, run: u64) -> (Box<dyn SinkWriter>, Arc<StepLedger>) {
    let ledger = Arc::new(StepLedger::new("out"));
    let opening = Opening { commits: run > 0, run, ..Opening::new(ledger.clone()) };
    (sink.open(opening).await.expect("the sink opens"), ledger)
}

pub async fn write(writer: &mut Box<dyn SinkWriter>, ledger: &StepLedger, batch: Arc<Batch>) {
    StepLedger::add(&ledger.read, batch.len());
    writer.write(batch).await.expect("a write");
}

const FIRST: [(&str, &str); 2] = [("a", "{\"n\":1}"), ("b", "{\"n\":1}")];

/// Results, a correction of one, the same results from a newer run, and then what a run that was fenced off still has to say
/// → the newest stays in each document, every row counts as written, and the run's checkpoint has flushed them.
async fn newest_stays(index: impl Fn() -> Box<dyn Sink>, documents: impl AsyncFn() -> [String; 2]) {
    let (mut old, old_ledger) = open(index(), 1_795_000_000).await;
    write(&mut old, &old_ledger, results(Pane::OnTime, &FIRST)).await;
    write(&mut old, &old_ledger, results(Pane::Late, &[("a", "{\"n\":2}")])).await;
    old.prepare(Cut::Running).await.expect("a checkpoint");
    assert_eq!(documents().await, ["{\"n\":2}", "{\"n\":1}"]);

    let (mut new, new_ledger) = open(index(), 1_795_000_001).await;
    write(&mut new, &new_ledger, results(Pane::OnTime, &[("a", "{\"n\":1}"), ("b", "{\"n\":5}")])).await;
    new.prepare(Cut::Running).await.expect("a checkpoint");
    assert_eq!(documents().await, ["{\"n\":1}", "{\"n\":5}"]);

    write(&mut old, &old_ledger, results(Pane::Late, &[("a", "{\"n\":3}"), ("b", "{\"n\":3}")])).await;
    old.close().await.expect("the end");
    assert_eq!(documents().await, ["{\"n\":1}", "{\"n\":5}"]);
    write(&mut new, &new_ledger, results(Pane::Late, &[("b", "{\"n\":6}")])).await;
    new.close().await.expect("the end");
    assert_eq!(documents().await, ["{\"n\":1}", "{\"n\":6}"]);
    assert_eq!((counts(&old_ledger), counts(&new_ledger)), ((5, 0), (3, 0)));
}

/// See [`newest_stays`], on the fake.
#[tokio::test]
async fn the_newest_result_stays() {
    let fake = FakeSearch::start().await;
    let documents = async || ["a", "b"].map(|key| fake.state().documents[&format!("trips/count|0|10|{key}")].clone());
    newest_stays(|| sink(&fake.server.address, ""), documents).await;
}

/// See [`newest_stays`], on a real server.
#[tokio::test]
async fn the_newest_result_stays_on_a_server() {
    let Some(url) = OPENSEARCH.url() else { return };
    let text = format!("endpoint = \"{url}\"\nindex = \"newest\"\ndynamic_mappings = true");
    let documents = async || {
        let get = |key| crate::servers::http::json("GET", &format!("{url}/newest/_doc/count%7C0%7C10%7C{key}"), "");
        ["a", "b"].map(|key| get(key)["_source"].to_string())
    };
    newest_stays(|| harness::sink("opensearch", &text).expect("good settings"), documents).await;
}

/// A correction that overtakes what it corrects, because that was refused for now, in one request → the correction stays: by
/// its version, or because it is sent again behind it.
#[tokio::test]
async fn a_retry_does_not_undo_a_correction() {
    for (run, sizes) in [(1, [2, 1]), (0, [2, 2])] {
        let fake = FakeSearch::start().await;
        fake.state().script = [Turn::Except(vec![("\"n\":1", 429, "rejected_execution_exception")])].into();
        let (mut writer, ledger) = open(sink(&fake.server.address, ""), run).await;
        write(&mut writer, &ledger, results(Pane::OnTime, &FIRST[..1])).await;
        write(&mut writer, &ledger, results(Pane::Late, &[("a", "{\"n\":2}")])).await;
        writer.close().await.expect("the end");
        assert_eq!(fake.state().bulk_sizes(), sizes);
        assert_eq!(fake.state().documents["trips/count|0|10|a"], "{\"n\":2}");
        assert_eq!(counts(&ledger), (2, 0));
    }
}

/// Records have no versions: they never change. Nor have results of a job without checkpoints, whose runs have no order.
#[tokio::test]
async fn versions_are_for_results_of_checkpoints() {
    for (run, versions) in [(0, 0), (7, 2)] {
        let fake = FakeSearch::start().await;
        let (mut writer, ledger) = open(sink(&fake.server.address, ""), run).await;
        write(&mut writer, &ledger, records(0, documents(0..3))).await;
        write(&mut writer, &ledger, results(Pane::OnTime, &FIRST)).await;
        writer.close().await.expect("the end");
        let state = fake.state();
        assert_eq!((state.documents.len(), state.versions.len()), (5, versions));
    }
}

/// A data stream, found or announced → documents are created; one that comes again is refused, which counts as written; a
/// correction is a document of its own, also when it comes again.
#[tokio::test]
async fn data_streams_take_new_documents() {
    for (found, more) in [(true, ""), (false, "data_stream = true")] {
        let fake = FakeSearch::start().await;
        (fake.state().data_stream, fake.state().missing) = (found, !found);
        for run in [5, 6] {
            let (mut writer, ledger) = open(sink(&fake.server.address, more), run).await;
            // From now on the announced one is there.
            (fake.state().data_stream, fake.state().missing) = (true, false);
            write(&mut writer, &ledger, records(0, documents(0..2))).await;
            write(&mut writer, &ledger, results(Pane::OnTime, &FIRST)).await;
            write(&mut writer, &ledger, results(Pane::Late, &[("a", "{\"n\":2}")])).await;
            writer.close().await.expect("the end");
            assert_eq!(counts(&ledger), (5, 0), "run {run}");
        }
        assert_eq!(fake.state().documents.len(), 5, "{:?}", fake.state().documents);
    }
    let fake = FakeSearch::start().await;
    fake.state().data_stream = true;
    sink_suite::cannot_open(sink(&fake.server.address, "data_stream = false"), &["trips is a data stream"]).await;
    let announced = sink(&fake.server.address, "data_stream = true");
    assert_eq!(announced.guarantee(), Guarantee::EffectivelyOnce);
}

/// A data stream of a real server, made from its template by the first document → the same.
#[tokio::test]
async fn data_streams_of_a_server() {
    use crate::servers::http::json;
    let Some(url) = OPENSEARCH.url() else { return };
    let template = r#"{"index_patterns":["events-*"],"data_stream":{},"priority":500}"#;
    json("PUT", &format!("{url}/_index_template/events"), template);
    for (run, more) in [(5, "data_stream = true"), (6, "")] {
        let text = format!("endpoint = \"{url}\"\nindex = \"events-1\"\n{more}");
        let sink = harness::sink("opensearch", &text).expect("good settings");
        let (mut writer, ledger) = open(sink, run).await;
        let row = |n: u32| format!("{{\"@timestamp\":\"2013-01-01T00:00:00Z\",\"n\":{n}}}");
        write(&mut writer, &ledger, records(0, [row(1), row(2)])).await;
        write(&mut writer, &ledger, results(Pane::OnTime, &[("a", &row(3))])).await;
        write(&mut writer, &ledger, results(Pane::Late, &[("a", &row(4))])).await;
        writer.close().await.expect("the end");
        assert_eq!(counts(&ledger), (4, 0), "run {run}: {:?}", ledger.rejects());
        json("POST", &format!("{url}/events-1/_refresh"), "");
        let found = json("GET", &format!("{url}/events-1/_search"), "");
        let mut numbers: Vec<_> =
            found["hits"]["hits"].as_array().expect("hits").iter().map(|hit| hit["_source"]["n"].clone()).collect();
        numbers.sort_by_key(Value::as_u64);
        assert_eq!(numbers, [1, 2, 3, 4].map(Value::from));
    }
}

/// Every mistake in the settings is found at once.
#[test]
fn settings_are_checked() {
    let both = "endpoint = \"http://127.0.0.1:1\"\nindex = \"x\"\ndynamic_mappings = true\nmappings = { a = 1 }\n\
                data_stream = true\nrollover = true";
    let problems = harness::sink("opensearch", both).err().expect("mistakes");
    for (problem, words) in
        problems.iter().zip(["`dynamic_mappings` is for a job without", "`rollover` needs an `index`"])
    {
        assert!(problem.message.contains(words), "{problems:?}");
    }
    let text = "endpoint = \"ftp://admin:${SECRET}@host\"\nindex = \"x\"";
    let problems = harness::sink("opensearch", text).err().expect("a mistake");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].message.contains("without a user name"), "{problems:?}");
    assert!(problems[0].hint.as_ref().is_some_and(|hint| hint.contains("`username`")), "{problems:?}");
    assert!(!format!("{problems:?}").contains(harness::SECRET), "{problems:?}");
    let text = "index = \"Trips\"\nauth = \"basic\"\npassword = \"x\"\ncollection = \"vector\"\n";
    let problems = harness::sink("opensearch", text).err().expect("mistakes");
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    for key in ["`endpoint`", "`index`", "`username`", "`password` must not", "`collection` needs"] {
        assert!(messages.iter().any(|message| message.contains(key)), "{key}: {messages:?}");
    }
}
