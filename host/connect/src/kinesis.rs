//! The `kinesis` source: every shard of a stream, polled with GetRecords or subscribed to, through splits and merges, with the
//! user records that producers have packed into one.
//!
//! The children of a shard are announced before the shard is done and read once the ends of all their parents are settled,
//! from their first record. So every checkpoint either holds the end of a shard or goes on in it, and never has a child's
//! record without its parents' last; and no child's record gets anywhere before those of its parents with the same key.

mod aggregate;
mod chunks;
mod clock;
mod connection;
mod failure;
mod fan_out;
mod gap;
mod lineage;
mod loss;
mod note;
mod pace;
pub mod pack;
mod page;
mod plan;
pub mod producer;
mod pushed;
mod reading;
mod settings;
mod shard;
pub mod sink;
mod stream;
mod subscriber;
mod succession;

pub use settings::check;

use async_trait::async_trait;
use reading::Reading;
use settings::Settings;
use std::sync::Arc;
use wasmill_stream::source::{Intake, Source};
use wasmill_stream::{ErrorKind, Result};

struct Kinesis {
    name: String,
    settings: Arc<Settings>,
}

#[async_trait]
impl Source for Kinesis {
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        let intake = Arc::new(intake);
        let read = async {
            let mut reading = Reading::begin(self.name, self.settings, intake.clone()).await?;
            reading.run().await
        };
        let result = tokio::select! {
            result = read => result,
            () = intake.stopped() => return Ok(()),
        };
        match result {
            Err(error) if error.kind() == ErrorKind::Closed => Ok(()),
            result => result,
        }
    }
}
