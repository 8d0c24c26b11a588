//! Every connector against the promises of `wasmill_stream::{source, sink}`. What all sources must do is in `source_suite`, what
//! all sinks must do in `sinks`; each connector has a file besides with what is its own.

mod aggregates;
mod cbor;
mod checkpoint_store;
mod cloudwatch;
mod component_store;
mod crash_suite;
mod dynamodb;
mod fake_cloudwatch;
mod fake_dynamodb;
/// The tests of whole jobs need other parts of it.
#[allow(dead_code, unused_imports)]
#[path = "../../../../tests/harness/fake_kinesis/mod.rs"]
mod fake_kinesis;
mod fake_s3;
mod fake_search;
mod fake_sns;
mod fan_out;
mod file;
mod file_changes;
mod file_commits;
mod formats;
mod harness;
mod http;
mod http_sink;
mod kinesis;
/// The fake itself, asked by the SDK of AWS.
mod kinesis_fake;
mod kinesis_gaps;
mod kinesis_lineage;
mod kinesis_sink;
mod kinesis_starts;
/// The tests of whole jobs need other parts of it.
#[allow(dead_code)]
#[path = "../../../../tests/harness/kinesis_stream.rs"]
mod kinesis_stream;
mod kinesis_succession;
mod kinesis_suite;
mod listings;
/// The servers of other tests answer in other ways.
#[allow(dead_code)]
#[path = "../../../../tests/harness/loopback.rs"]
mod loopback;
mod moto;
mod opensearch;
mod opensearch_actions;
mod opensearch_cases;
mod opensearch_load;
mod opensearch_preflight;
mod opensearch_undo;
mod proxies;
mod replay;
mod replay_resume;
mod reshards;
mod s3;
mod s3_commits;
mod servers;
mod sink_suite;
mod sinks;
mod sns;
mod source_suite;
mod stdin;
mod stdout;
mod store_suite;
