//! A Kinesis stream in this process, for the tests of the connectors and those of whole jobs. It is stricter than AWS where
//! that finds mistakes: it takes no number that it never gave, no time to come and no iterator of an earlier stream, numbers
//! grow over all shards, and, when a test asks for them, the limits of a shard and signatures are real.
//!
//! `server` answers requests, `state` is what it holds and what tests do to it; a file for each part of the protocol.

mod call;
mod clock;
mod events;
mod fan_out;
mod limits;
mod reads;
mod script;
mod server;
mod shard;
mod sign;
mod state;
mod writes;

pub use call::Call;
pub use clock::Clock;
pub use limits::Limits;
pub use script::{Fault, PushFault, PutFault};
pub use server::FakeKinesis;
pub use shard::{FakeShard, Record, WHOLE, hash_key, sequence};
pub use sign::Keys;
pub use state::State;

/// The stream's name.
pub const STREAM: &str = "trips";
/// How long the stream keeps records, in hours.
pub const RETENTION_HOURS: i64 = 24;

/// The ARN of the stream.
pub fn arn() -> String {
    format!("arn:aws:kinesis:eu-west-1:000000000000:stream/{STREAM}")
}
