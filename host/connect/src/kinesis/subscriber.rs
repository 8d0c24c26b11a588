//! Who subscribes to the shards of a stream. A consumer that cannot be had now is asked for again while shards are polled, by
//! one reader for all of them.

use super::fan_out::Consumer;
use super::settings::Settings;
use super::stream::Stream;
use crate::retry::{Backoff, Patience};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use wasmill_stream::{Error, Result};

/// How long a new consumer may take to become active before shards are polled.
const ACTIVATION: Duration = Duration::from_secs(60);

/// How often it is looked then whether it has become active.
const LOOKS: Duration = Duration::from_secs(2);

/// A consumer, or the wish for one.
pub struct Subscriber {
    name: String,
    stream_arn: String,
    /// How long to wait before it is asked for again.
    retry: Duration,
    /// The consumer, or why there is none.
    consumer: RwLock<Result<Arc<Consumer>, String>>,
    /// When to ask for it again. Whoever holds this asks.
    next: Mutex<Instant>,
}

impl Subscriber {
    /// Asks for the consumer that the settings name, if they do, and gives it time to become active.
    pub async fn begin(stream: &Stream, stream_arn: &str, settings: &Settings) -> Option<Self> {
        let name = settings.fan_out.clone()?;
        let found = patiently(stream, stream_arn, &name, settings.connection.patience).await;
        let consumer = found.map(Arc::new).map_err(|error| refusal(stream, &name, &error));
        let (stream_arn, retry) = (stream_arn.to_owned(), settings.fan_out_retry);
        let next = Mutex::new(Instant::now() + retry);
        Some(Self { name, stream_arn, retry, consumer: RwLock::new(consumer), next })
    }

    /// The consumer, if there is one now. Asks for it if that was tried long ago.
    pub async fn consumer(&self, stream: &Stream) -> Option<Arc<Consumer>> {
        if let Ok(consumer) = &*self.consumer.read().unwrap_or_else(PoisonError::into_inner) {
            return Some(consumer.clone());
        }
        let mut next = self.next.try_lock().ok()?;
        if Instant::now() < *next {
            return None;
        }
        let asked = stream.consumer(&self.stream_arn, &self.name).await;
        let is_coming = matches!(asked, Ok(None));
        let answer = asked.and_then(|consumer| consumer.ok_or_else(|| not_active(stream, &self.name)));
        *next = Instant::now() + if is_coming { LOOKS } else { self.retry };
        match answer {
            Ok(consumer) => {
                tracing::info!("{stream}: fan-out {}: subscribing", self.name);
                let consumer = Arc::new(consumer);
                self.set(Ok(consumer.clone()));
                Some(consumer)
            }
            Err(error) => {
                self.set(Err(refusal(stream, &self.name, &error)));
                None
            }
        }
    }

    /// Why there is no consumer, if there is none.
    pub fn refusal(&self) -> Option<String> {
        self.consumer.read().unwrap_or_else(PoisonError::into_inner).as_ref().err().cloned()
    }

    /// The service does not know this consumer: it is asked for anew.
    pub fn forget(&self, consumer: &Arc<Consumer>) {
        let mut held = self.consumer.write().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_ok_and(|held| Arc::ptr_eq(held, consumer)) {
            *held = Err(format!("fan-out {}: polling, because the service does not know it any more", self.name));
        }
    }

    fn set(&self, consumer: Result<Arc<Consumer>, String>) {
        *self.consumer.write().unwrap_or_else(PoisonError::into_inner) = consumer;
    }
}

/// The consumer once it is active.
async fn patiently(stream: &Stream, stream_arn: &str, name: &str, patience: Patience) -> Result<Consumer> {
    let mut backoff = Backoff::new(patience);
    let mut activation = Backoff::new(Patience { total: Some(ACTIVATION), ..Patience::START });
    loop {
        match stream.consumer(stream_arn, name).await {
            Ok(Some(consumer)) => return Ok(consumer),
            Ok(None) => activation.wait(not_active(stream, name)).await?,
            Err(error) => backoff.wait(error).await?,
        }
    }
}

fn not_active(stream: &Stream, name: &str) -> Error {
    Error::unavailable(format!("{stream}: the consumer {name} is not active"))
}

/// Why shards are polled, for people. Polling is slower and not wrong.
fn refusal(stream: &Stream, name: &str, error: &Error) -> String {
    let refusal = format!("fan-out {name}: polling, because {}", error.report());
    tracing::warn!("{stream}: {refusal}");
    refusal
}
