//! Twelve things that a server may answer, by name: whatever it is, each row is in the index or among the rejected, once, and
//! the sink comes to an end.

use crate::fake_search::{FakeSearch, Loss, State, Turn};
use crate::opensearch::{counts, documents, sink};
use crate::sink_suite::{records, write_batches};
use std::collections::BTreeMap;

/// A case.
struct Case {
    name: &'static str,
    /// What the fake is like.
    server: fn(&mut State),
    /// Settings of the sink beside where it writes.
    settings: &'static str,
    /// Which of the eight rows are rejected, and why.
    rejected: &'static [(usize, &'static str)],
    /// The number of documents in each request.
    requests: &'static [usize],
}

const ALL: [Case; 12] = [
    Case {
        name: "a request that is too large",
        server: |fake| fake.limit = Some(300),
        settings: "",
        rejected: &[],
        requests: &[8, 4, 4],
    },
    Case {
        name: "a document that is too large alone",
        server: |fake| fake.limit = Some(20),
        settings: "batch_rows = 1\nconcurrency = 1",
        rejected: &[
            (0, "HTTP 413"),
            (1, "HTTP 413"),
            (2, "HTTP 413"),
            (3, "HTTP 413"),
            (4, "HTTP 413"),
            (5, "HTTP 413"),
            (6, "HTTP 413"),
            (7, "HTTP 413"),
        ],
        requests: &[1, 1, 1, 1, 1, 1, 1, 1],
    },
    Case {
        name: "a conflict with what we have written ourselves",
        server: |fake| {
            fake.data_stream = true;
            fake.documents.insert("trips/in|in/0|3".to_owned(), "{\"n\":\"<3>\"}".to_owned());
        },
        settings: "",
        rejected: &[],
        requests: &[8],
    },
    Case {
        name: "a data stream whose first answer is lost",
        server: |fake| {
            fake.data_stream = true;
            fake.script = [Turn::Lost(Loss::HungUp)].into();
        },
        settings: "",
        rejected: &[],
        requests: &[8, 8],
    },
    Case {
        name: "documents that are refused for now, by position",
        server: |fake| {
            let busy =
                |rows: &[&'static str]| rows.iter().map(|row| (*row, 429, "rejected_execution_exception")).collect();
            fake.script = [Turn::Except(busy(&["<1>", "<6>"])), Turn::Except(busy(&["<6>"]))].into();
        },
        settings: "",
        rejected: &[],
        requests: &[8, 2, 1],
    },
    Case {
        name: "an index that is blocked, which says 403 and means later",
        server: |fake| fake.script = [Turn::Except(vec![("n", 403, "cluster_block_exception")])].into(),
        settings: "",
        rejected: &[],
        requests: &[8, 8],
    },
    Case {
        name: "documents that do not fit the mappings",
        server: |fake| {
            let misfit = |row| (row, 400, "mapper_parsing_exception");
            fake.script = [Turn::Except(vec![misfit("<2>"), misfit("<5>")])].into();
        },
        settings: "",
        rejected: &[(2, "mapper_parsing_exception"), (5, "mapper_parsing_exception")],
        requests: &[8],
    },
    Case {
        name: "an answer that breaks off",
        server: |fake| fake.script = [Turn::Lost(Loss::Cut)].into(),
        settings: "",
        rejected: &[],
        requests: &[8, 8],
    },
    Case {
        name: "a page of HTML that says 200",
        server: |fake| fake.script = [Turn::Lost(Loss::Html)].into(),
        settings: "",
        rejected: &[],
        requests: &[8, 8],
    },
    Case {
        name: "a page of HTML of a gateway",
        server: |fake| fake.script = [Turn::Refuse(502, "<html>bad gateway</html>")].into(),
        settings: "",
        rejected: &[],
        requests: &[8, 8],
    },
    Case {
        name: "a request that is refused as malformed for one of its documents",
        server: |fake| {
            let malformed = Turn::Refuse(400, r#"{"error":{"type":"parse_exception","reason":"bad"},"status":400}"#);
            let taken = Turn::Except(vec![]);
            // All, the first half, its second half, and the second of that.
            fake.script =
                [malformed.clone(), malformed.clone(), taken.clone(), malformed.clone(), taken, malformed].into();
        },
        settings: "",
        rejected: &[(3, "parse_exception")],
        requests: &[8, 4, 2, 2, 1, 1, 4],
    },
    Case {
        name: "a serverless collection of time series",
        server: |fake| fake.script = [Turn::Refuse(429, "{\"status\":429,\"error\":\"Too many requests\"}")].into(),
        settings: "auth = \"sigv4\"\nservice = \"aoss\"\ncollection = \"time-series\"\nregion = \"eu-west-1\"\n\
                   access_key_id = \"${SECRET}\"\nsecret_access_key = \"${SECRET}\"",
        rejected: &[],
        requests: &[8, 8],
    },
];

/// See the head of this file.
#[tokio::test]
async fn twelve_cases() {
    for Case { name, server, settings, rejected, requests } in ALL {
        let fake = FakeSearch::start().await;
        server(&mut fake.state());
        let ledger = write_batches(sink(&fake.server.address, settings), &[records(0, documents(0..8))]).await;
        let ledger = ledger.unwrap_or_else(|error| panic!("{name}: {}", error.report()));
        assert_eq!(counts(&ledger), (8 - rejected.len() as u64, rejected.len() as u64), "{name}");
        let mut stored: BTreeMap<String, usize> = BTreeMap::new();
        fake.state().documents.values().for_each(|document| *stored.entry(document.clone()).or_default() += 1);
        for (row, document) in documents(0..8).into_iter().enumerate() {
            let times = usize::from(!rejected.iter().any(|(rejected, _)| *rejected == row));
            assert_eq!(stored.remove(&document).unwrap_or(0), times, "{name}: row {row}");
        }
        assert!(stored.is_empty(), "{name}: {stored:?}");
        assert_eq!(fake.state().bulk_sizes(), requests, "{name}");
        let examples = ledger.rejects().examples;
        for (example, (row, why)) in examples.iter().zip(rejected) {
            assert!(example.contains(&format!("record {row}: ")) && example.contains(why), "{name}: {example}");
        }
    }
}
