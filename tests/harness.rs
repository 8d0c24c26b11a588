//! What the tests stand on: plugins built once, jobs run in this process or by the real program, servers written by others,
//! and the balance of every ledger. It asserts nothing about results.

pub mod balance;
pub mod bucket;
pub mod builds;
pub mod cbor;
pub mod cells;
pub mod chance;
pub mod client;
pub mod data;
/// The tests of the connectors need other parts of it.
#[allow(dead_code, unused_imports)]
pub mod fake_kinesis;
pub mod fleet;
pub mod guests;
pub mod host;
pub mod http;
pub mod job;
pub mod kinesis;
/// The tests of the connectors need other parts of it.
#[allow(dead_code)]
pub mod kinesis_stream;
pub mod latency;
pub mod live;
pub mod loopback;
pub mod manifests;
pub mod metrics;
pub mod parquet_rows;
pub mod patience;
pub mod plugins;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod proxy;
pub mod registry;
pub mod search;
pub mod server;
pub mod strangers;
pub mod stream;
pub mod tool;
pub mod versions;
pub mod work;

use std::io::Write;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// Says that the current test checks less than it could here.
pub fn skipped(reason: &str) {
    say("SKIPPED: ", reason);
}

/// Says what the current test has done: counts, and the seed to do it again.
pub fn report(what: &str) {
    say("", what);
}

/// `eprintln!` would be swallowed, as the test passes.
fn say(before: &str, what: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Nothing can be done about a closed standard error.
    let _ = writeln!(std::io::stderr(), "{before}{test}: {what}");
}
