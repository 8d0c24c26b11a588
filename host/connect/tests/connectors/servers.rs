//! Servers by others, which the tests of the whole program start as well.

/// They know more servers than are needed here.
#[allow(dead_code)]
#[path = "../../../../tests/harness/server.rs"]
mod server;

/// Looking at them from the side.
#[allow(dead_code)]
#[path = "../../../../tests/harness/http.rs"]
pub mod http;

pub use server::{KINESALITE, KINESIS_LOCAL, MOTO, OPENSEARCH, Server};

use std::path::Path;

/// The root of the repository, for `server`.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Says that a test does less than it should, for `server`.
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
