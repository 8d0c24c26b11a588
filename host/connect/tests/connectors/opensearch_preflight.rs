//! What the `opensearch` sink finds, makes, or refuses before the first document.

use crate::fake_search::FakeSearch;
use crate::harness;
use crate::opensearch::{counts, sink};
use crate::servers::{OPENSEARCH, http};
use crate::sink_suite::{cannot_open, records, write_batches};
use serde_json::{Value, json};

const MAPPINGS: &str = "[mappings.properties]\nplace = { type = \"geo_point\" }\nat = { type = \"date\" }\n";
const ROW: &str = "{\"place\":\"dr5ru7\",\"at\":\"2013-01-01T13:00:00Z\",\"@timestamp\":\"2013-01-01T13:00:00Z\"}";

/// Writes a row of the first hour of 2013 and returns the mappings of the index that it is in.
async fn mappings_of_row(url: &str, index: &str, more: &str) -> (String, Value) {
    let text = format!("endpoint = \"{url}\"\nindex = \"{index}\"\n{more}");
    let sink = harness::sink("opensearch", &text).expect("good settings");
    let ledger = write_batches(sink, &[records(1_357_000_000_000, [ROW])]).await.expect("nothing fatal");
    assert_eq!(counts(&ledger), (1, 0), "{:?}", ledger.rejects());
    let pattern = index.split('{').next().expect("a beginning");
    http::json("POST", &format!("{url}/{pattern}*/_refresh"), "");
    let found = http::json("GET", &format!("{url}/{pattern}*/_search"), "");
    let index = found["hits"]["hits"][0]["_index"].as_str().expect("the row is there").to_owned();
    let mappings = http::json("GET", &format!("{url}/{index}/_mapping"), "")[&index]["mappings"].clone();
    (index, mappings)
}

/// An index, one of a month, a data stream, and an alias to roll over, none of which is there → each is made with the mappings,
/// settings and aliases of the job file; a second start finds everything as it should be.
#[tokio::test]
async fn made_from_the_job_file() {
    let Some(url) = OPENSEARCH.url() else { return };
    let with_alias = format!("aliases = [\"made-all\"]\nsettings = {{ number_of_shards = 2 }}\n{MAPPINGS}");
    let stream = format!("data_stream = true\n{MAPPINGS}");
    let rollover = format!("rollover = true\n{MAPPINGS}");
    let cases = [
        ("made-plain", "made-plain", with_alias.as_str()),
        ("made-month-{+%Y.%m}", "made-month-2013.01", &with_alias),
        ("made-stream", ".ds-made-stream-000001", &stream),
        ("made-rolled", "made-rolled-000001", &rollover),
    ];
    for (index, expected, more) in cases {
        for _ in 0..2 {
            let (found, mappings) = mappings_of_row(url, index, more).await;
            assert_eq!(found, expected);
            let kind = |field: &str| mappings["properties"][field]["type"].clone();
            assert_eq!([kind("place"), kind("at")], ["geo_point", "date"], "{index}: {mappings}");
        }
    }
    let aliases = http::json("GET", &format!("{url}/made-all/_settings"), "");
    let shards = |index: &str| aliases[index]["settings"]["index"]["number_of_shards"].clone();
    assert_eq!([shards("made-plain"), shards("made-month-2013.01")], ["2", "2"]);
    let alias = http::json("GET", &format!("{url}/_alias/made-rolled"), "");
    assert_eq!(alias["made-rolled-000001"]["aliases"]["made-rolled"]["is_write_index"], true);
    // What comes after a rollover has the mappings, too.
    let rolled = http::json("POST", &format!("{url}/made-rolled/_rollover"), "");
    assert_eq!(rolled["new_index"], "made-rolled-000002");
    let mappings = http::json("GET", &format!("{url}/made-rolled-000002/_mapping"), "");
    assert_eq!(mappings["made-rolled-000002"]["mappings"]["properties"]["place"]["type"], "geo_point");
    mappings_of_row(url, "made-rolled", &rollover).await;
}

/// An index without a field of the job file gets it; one whose field has another type is an error that names both types, also
/// if it is one of many months.
#[tokio::test]
async fn held_against_what_is_there() {
    let Some(url) = OPENSEARCH.url() else { return };
    http::json("PUT", &format!("{url}/lacks"), "{\"mappings\":{\"properties\":{\"at\":{\"type\":\"date\"}}}}");
    let (_, mappings) = mappings_of_row(url, "lacks", MAPPINGS).await;
    assert_eq!(mappings["properties"]["place"]["type"], "geo_point");
    for (made, index) in [("conflicts", "conflicts"), ("conflicts-2013.01", "conflicts-{+%Y.%m}")] {
        http::json("PUT", &format!("{url}/{made}"), "{\"mappings\":{\"properties\":{\"place\":{\"type\":\"text\"}}}}");
        let text = format!("endpoint = \"{url}\"\nindex = \"{index}\"\n{MAPPINGS}");
        let sink = harness::sink("opensearch", &text).expect("good settings");
        cannot_open(sink, &[made, "`place` is text, not geo_point", "reindex"]).await;
    }
}

/// Nothing is there, and nobody has said what types fields have → the job does not start, unless the first document may
/// decide them, or a template of the server does. A data stream needs a template, in any case.
#[tokio::test]
async fn the_first_document_decides_nothing() {
    let Some(url) = OPENSEARCH.url() else { return };
    for index in ["nothing", "nothing-{+%Y}"] {
        let text = format!("endpoint = \"{url}\"\nindex = \"{index}\"\n");
        let sink = |more: &str| harness::sink("opensearch", &format!("{text}{more}")).expect("good settings");
        cannot_open(sink(""), &["nothing", "the first document would decide", "dynamic_mappings = true"]).await;
        write_batches(sink("dynamic_mappings = true"), &[]).await.expect("it may");
    }
    let template = json!({"index_patterns": ["templated-*"], "priority": 300,
        "template": {"mappings": {"properties": {"place": {"type": "geo_point"}}}}});
    http::json("PUT", &format!("{url}/_index_template/templated"), &template.to_string());
    let (_, mappings) = mappings_of_row(url, "templated-1", "").await;
    assert_eq!(mappings["properties"]["place"]["type"], "geo_point");
    let text = format!("endpoint = \"{url}\"\nindex = \"no-stream\"\ndata_stream = true");
    cannot_open(
        harness::sink("opensearch", &text).expect("good settings"),
        &["create data stream no-stream", "template"],
    )
    .await;
}

/// A policy of index state management is put once, for the indexes of the job; one that is there already is left alone.
#[tokio::test]
async fn policies() {
    let fake = FakeSearch::start().await;
    fake.state().missing = true;
    let more = "rollover = true\n[ism_policy]\ndefault_state = \"hot\"\nstates = [{ name = \"hot\" }]\n";
    write_batches(sink(&fake.server.address, more), &[]).await.expect("nothing fatal");
    let puts = || {
        let requests = fake.state().requests.clone();
        requests.into_iter().filter(|request| request.method == "PUT").collect::<Vec<_>>()
    };
    let targets: Vec<_> = puts().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/_plugins/_ism/policies/wasmill-trips", "/_index_template/wasmill-trips", "/trips-000001"]);
    let body: Value = serde_json::from_slice(&puts()[0].body).expect("JSON");
    assert_eq!(body["policy"]["default_state"], "hot");
    assert_eq!(body["policy"]["ism_template"][0]["index_patterns"], json!(["trips-*"]));
    let template: Value = serde_json::from_slice(&puts()[1].body).expect("JSON");
    assert_eq!(template["template"]["settings"]["plugins.index_state_management.rollover_alias"], "trips");

    fake.state().missing = false;
    write_batches(sink(&fake.server.address, more), &[]).await.expect("nothing fatal");
    assert!(!puts()[3..].iter().any(|request| request.target.contains("_ism")));
}
