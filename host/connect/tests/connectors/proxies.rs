//! A proxy before a server, for what the server does not do by itself.

/// The tests of whole jobs draw more from it.
#[allow(dead_code)]
#[path = "../../../../tests/harness/chance.rs"]
mod chance;
/// And lose answers of writes.
#[allow(dead_code)]
#[path = "../../../../tests/harness/proxy.rs"]
mod proxy;

pub use chance::Chance;
pub use proxy::{Proxy, Turn, Upstream};

use crate::loopback;

/// Says what a test did, for `chance`.
fn report(what: &str) {
    eprintln!("{what}");
}
