//! Every connector against the promises of `wasmill_stream::{source, sink}`. `source_suite` and `sink_suite` hold what all
//! must do; each connector has a file that calls them and adds what is its own.

mod fake_kinesis;
mod fake_search;
mod file;
mod harness;
mod http;
mod kinesis;
mod opensearch;
mod replay;
mod s3;
mod sink_suite;
mod source_suite;
mod stdin;
mod stdout;
