//! The `opensearch` sink against a fake that fails by script.

use crate::fake_search::{FakeSearch, Loss, Turn};
use crate::harness;
use crate::http::refusing_address;
use crate::sink_suite::{self, records, write_batches};
use std::sync::atomic::Ordering::Relaxed;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::Sink;
use wasmill_stream::{ErrorKind, Guarantee};

fn sink(address: &str, more: &str) -> Box<dyn Sink> {
    let text = format!("endpoint = \"{address}\"\nindex = \"trips\"\nstart_timeout = \"300ms\"\n{more}\n");
    harness::sink("opensearch", &text).expect("good settings")
}

fn documents(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("{{\"n\":\"<{number}>\"}}")).collect()
}

fn counts(ledger: &StepLedger) -> (u64, u64) {
    assert_eq!(ledger.counts().in_flight(), 0, "{}", ledger.counts());
    (ledger.written.load(Relaxed), ledger.rejected.load(Relaxed))
}

/// What every sink must do, this one does; a row that comes twice is one document.
#[tokio::test]
async fn keeps_the_promises_of_a_sink() {
    let fake = FakeSearch::start().await;
    let mut expected = sink_suite::counts_what_is_safe(sink(&fake.server.address, "batch_rows = 4")).await;
    let mut stored: Vec<_> = fake.state().documents.values().cloned().collect();
    expected.sort();
    expected.dedup();
    stored.sort();
    assert_eq!(stored, expected);
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

/// Requests are halved until they fit, later ones are made smaller at once; the one document that never fits is rejected.
#[tokio::test]
async fn too_large_is_halved() {
    let fake = FakeSearch::start().await;
    fake.state().limit = Some(600);
    let mut values = documents(0..32);
    values[9] = format!("{{\"n\":\"{}\"}}", "x".repeat(700));
    let batches = [records(0, values), records(0, documents(0..32))];
    let ledger = write_batches(sink(&fake.server.address, "batch_rows = 32"), &batches).await.expect("nothing fatal");
    assert_eq!(counts(&ledger), (63, 1));
    assert!(ledger.rejects().examples[0].contains("record 9: HTTP 413"), "{:?}", ledger.rejects());
    let state = fake.state();
    // Row 9 has the same id in both batches.
    assert_eq!(state.documents.len(), 32);
    // 0..32, its halves, then 8..16, 8..12, 8..10 and 9; none of the second batch.
    assert_eq!(state.requests.iter().filter(|request| request.body.len() > 600).count(), 7);
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

/// Throttled and failing servers and lost answers, some after the documents were stored → everything is sent again and
/// nothing is doubled, for the ids are ours.
#[tokio::test]
async fn lost_answers_double_nothing() {
    let fake = FakeSearch::start().await;
    fake.state().script = [
        Turn::Refuse(429, ""),
        Turn::Lost(Loss::Cut),
        Turn::Lost(Loss::Html),
        Turn::Refuse(503, "<html>bad gateway</html>"),
        Turn::Lost(Loss::HungUp),
    ]
    .into();
    let ledger =
        write_batches(sink(&fake.server.address, ""), &[records(0, documents(0..5))]).await.expect("nothing fatal");
    assert_eq!(counts(&ledger), (5, 0));
    assert_eq!(fake.state().documents.values().cloned().collect::<Vec<_>>(), documents(0..5));
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

/// The job file's mappings create an index that is missing.
#[tokio::test]
async fn mappings_create_the_index() {
    let fake = FakeSearch::start().await;
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

/// A server that refuses us or does not listen ends the job at start, with its address and its own words; one that takes
/// a right away later ends it too.
#[tokio::test]
async fn refusals_name_everything() {
    let fake = FakeSearch::start().await;
    let address = fake.server.address.clone();
    fake.state().other = Some((401, "Unauthorized"));
    let error = write_batches(sink(&address, ""), &[]).await.expect_err("not let in");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.report().contains(&address) && error.report().contains("\"Unauthorized\""), "{}", error.report());

    fake.state().other = None;
    fake.state().script = [Turn::Except(vec![("", 403, "security_exception")])].into();
    let error = write_batches(sink(&address, ""), &[records(0, ["{}"])]).await.expect_err("no right to write");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.report().contains("security_exception"), "{}", error.report());

    let nobody = refusing_address().await;
    let error = write_batches(sink(&nobody, ""), &[]).await.expect_err("nobody listens");
    for part in ["gave up after", nobody.as_str(), "refused"] {
        assert!(error.report().contains(part), "{part}: {}", error.report());
    }
}

/// Every mistake in the settings is found at once.
#[test]
fn settings_are_checked() {
    let text = "index = \"Trips\"\nauth = \"basic\"\npassword = \"x\"\ncollection = \"vector\"\n";
    let problems = harness::sink("opensearch", text).err().expect("mistakes");
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    for key in ["`endpoint`", "`index`", "`username`", "`password` must not", "`collection` needs"] {
        assert!(messages.iter().any(|message| message.contains(key)), "{key}: {messages:?}");
    }
}
