//! Enhanced fan-out: the calls that make a consumer of a stream and subscribe it to shards. Nothing is tried again in here,
//! and a consumer is never deregistered: it may be shared, and what it costs is the owner's decision.

use super::failure::is_not_found;
use super::page::Page;
use super::stream::{Place, Stream};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::primitives::event_stream::EventReceiver;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEventStream};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use wasmill_stream::{Error, Result};

/// The service ends a subscription after five minutes; one that goes on for longer is of a server that does not.
const LASTS: Duration = Duration::from_secs(330);

/// Who subscribes to the shards of a stream.
#[derive(Debug)]
pub struct Consumer {
    /// Its name in the job file.
    pub name: String,
    arn: String,
}

/// What the server sends of one shard.
pub struct Subscription {
    events: EventReceiver<SubscribeToShardEventStream, SubscribeToShardEventStreamError>,
    begun: Instant,
    dated: bool,
    /// Whether records came of it that were not handed on before.
    pub has_given: bool,
}

/// What came next.
#[expect(clippy::large_enum_variant, reason = "one lives on the stack for the length of a call")]
pub enum Pushed {
    /// Records, or the news that there are none.
    Page(Page),
    /// The subscription is over: the server ends each after five minutes.
    Over,
}

impl Stream {
    /// The consumer of this name, registered if there is none; `None` while it is not active.
    pub async fn consumer(&self, stream_arn: &str, name: &str) -> Result<Option<Consumer>> {
        let request = self.connection.client.describe_stream_consumer().stream_arn(stream_arn).consumer_name(name);
        let what = format!("describe the consumer {name}");
        match request.send().await.inspect(|_| self.connection.was_taken()) {
            Ok(answer) => {
                let described = answer.consumer_description;
                let described = described.ok_or_else(|| Error::unavailable(format!("{self}: {what}: no answer")))?;
                let is_active = described.consumer_status == ConsumerStatus::Active;
                Ok(is_active.then(|| Consumer { name: name.to_owned(), arn: described.consumer_arn }))
            }
            Err(error) if is_not_found(&error) => {
                let request =
                    self.connection.client.register_stream_consumer().stream_arn(stream_arn).consumer_name(name);
                let registered = request.send().await.inspect(|_| self.connection.was_taken());
                registered.map_err(|error| self.connection.failure(&format!("register the consumer {name}"), error))?;
                tracing::info!(consumer = name, "{self}: registered a consumer");
                Ok(None)
            }
            Err(error) => Err(self.connection.failure(&what, error)),
        }
    }

    /// Subscribes to a shard from a place. `patience`: how long at most the first word may take.
    pub async fn subscribe(
        &self,
        consumer: &Consumer,
        shard: &str,
        place: Place,
        patience: Duration,
    ) -> Result<Subscription> {
        let position = StartingPosition::builder();
        let position = match place {
            Place::Oldest => position.r#type(ShardIteratorType::TrimHorizon),
            Place::Since(millis) => {
                position.r#type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(millis))
            }
            Place::At(place) => {
                position.r#type(ShardIteratorType::AtSequenceNumber).sequence_number(place.sequence.to_string())
            }
        };
        let what = format!("subscribe to {shard} as {}", consumer.name);
        let position = position.build().map_err(|error| Error::internal(what.clone()).with_source(error))?;
        let request = self.connection.client.subscribe_to_shard().consumer_arn(&consumer.arn).shard_id(shard);
        // It waits for the first frame, too, which the client's own time-outs do not cover.
        let answer = timeout(patience, request.starting_position(position).send()).await;
        let answer = answer.map_err(|_| silent(&format!("{self}: {what}"), patience))?;
        let answer =
            answer.inspect(|_| self.connection.was_taken()).map_err(|error| self.connection.failure(&what, error))?;
        Ok(Subscription {
            events: answer.event_stream,
            begun: Instant::now(),
            dated: self.is_dated(),
            has_given: false,
        })
    }
}

impl Subscription {
    /// What comes next. Whoever has not heard anything for `patience` while he waits here has been cut off: the service says
    /// something every few seconds.
    pub async fn next(&mut self, subject: &str, patience: Duration) -> Result<Pushed> {
        loop {
            let event = timeout(patience, self.events.recv()).await.map_err(|_| silent(subject, patience))?;
            // Whatever it is, the next subscription may do, and if not, asking for it tells why.
            match event.map_err(|error| Error::unavailable(subject).with_source(error))? {
                Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) => {
                    return Page::pushed(event, self.dated).map(Pushed::Page);
                }
                // News of a kind that came after this was written.
                Some(_) => {}
                None => return Ok(Pushed::Over),
            }
        }
    }

    /// Whether it has lasted for longer than any of the service does.
    pub fn is_old(&self) -> bool {
        self.begun.elapsed() >= LASTS
    }
}

fn silent(subject: &str, patience: Duration) -> Error {
    Error::unavailable(format!("{subject}: no word for {} s", patience.as_secs_f64()))
}
