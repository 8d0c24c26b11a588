//! A shard that is read by subscription, as long as that works: what is out of the ordinary is left to polling, which knows
//! what to do about it.

use super::fan_out::{Consumer, Pushed, Subscription};
use super::page::Page;
use super::shard::{Cursor, ShardReader, Turn};
use super::subscriber::Subscriber;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};
use wasmill_stream::{Error, ErrorKind, Result};

/// So many failures in a row, or one that time does not cure, and the shard is polled.
const FAILURES: u32 = 3;

/// Between two subscriptions to a shard pass so many of the times between two reads: a second, as the service asks for.
const READS: u32 = 5;

/// How far a shard is read by subscription.
#[derive(Default)]
pub struct Push {
    subscription: Option<Subscription>,
    /// When it was last subscribed to.
    begun: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    /// Until then it is polled.
    polls_until: Option<Instant>,
    /// Whether it is polled until there is nothing to read: servers may forget to say that a shard has ended.
    polls_to_tip: bool,
}

impl Push {
    /// Whether there is a subscription, whose next event is waited for in any case.
    pub fn is_subscribed(&self) -> bool {
        self.subscription.is_some()
    }

    /// Whether the next read is a polled one.
    fn polls(&self) -> bool {
        self.polls_to_tip || self.polls_until.is_some_and(|until| Instant::now() < until)
    }

    /// A polled read found nothing.
    pub(super) fn is_at_tip(&mut self) {
        self.polls_to_tip = false;
    }
}

impl ShardReader {
    /// What came of a subscription; `None`: the shard is to be polled.
    pub(super) async fn pushed(&self, cursor: &mut Cursor) -> Result<Option<Turn>> {
        let Some(subscriber) = self.shared.subscriber.as_ref().filter(|_| !cursor.push.polls()) else {
            return Ok(None);
        };
        let Some(consumer) = subscriber.consumer(&self.shared.stream).await else { return Ok(None) };
        let asked = self.shared.stream.now();
        match self.next_page(&consumer, cursor).await {
            Ok(Some(page)) => {
                cursor.push.failures = 0;
                self.sender.remark(None);
                let (begun, place) = (Instant::now(), cursor.place);
                let _page = self.shared.pages.acquire().await.map_err(|_| super::shard::stopped())?;
                let turn = self.hand_on(page, asked, cursor).await;
                // The next subscription begins with what was not handed on; this one goes on behind it.
                let turn = turn.inspect_err(|_| drop(cursor.push.subscription.take()))?;
                // Who does not listen for so long is not sent anything any more.
                let is_lost = begun.elapsed() >= self.shared.settings.silence;
                cursor.push.subscription = cursor.push.subscription.take().filter(|_| !is_lost);
                if let Some(subscription) = &mut cursor.push.subscription {
                    subscription.has_given |= cursor.place != place;
                }
                Ok(Some(turn))
            }
            Ok(None) => Ok(Some(Turn::More { bytes: 0 })),
            Err(error) => self.fail(subscriber, &consumer, error, cursor),
        }
    }

    /// The next page of the subscription, which is begun if there is none; `None` at its end.
    async fn next_page(&self, consumer: &Consumer, cursor: &mut Cursor) -> Result<Option<Page>> {
        let (stream, silence) = (&self.shared.stream, self.shared.settings.silence);
        let mut subscription = match cursor.push.subscription.take() {
            Some(subscription) if subscription.is_old() => {
                cursor.push.polls_to_tip = !subscription.has_given;
                return Ok(None);
            }
            Some(subscription) => subscription,
            None => {
                if let Some(begun) = cursor.push.begun {
                    sleep_until(begun + self.shared.settings.read_interval * READS).await;
                }
                cursor.push.begun = Some(Instant::now());
                cursor.iterator = None;
                cursor.known = cursor.place.position();
                stream.subscribe(consumer, &self.shard, cursor.place, silence).await?
            }
        };
        let subject = format!("{stream}: subscription to {} as {}", self.shard, consumer.name);
        match subscription.next(&subject, silence).await? {
            Pushed::Page(page) => {
                cursor.push.subscription = Some(subscription);
                Ok(Some(page))
            }
            Pushed::Over => {
                cursor.push.polls_to_tip = !subscription.has_given;
                Ok(None)
            }
        }
    }

    /// A subscription could not be had, or broke. One that has given something is simply renewed.
    fn fail(
        &self,
        subscriber: &Subscriber,
        consumer: &Arc<Consumer>,
        error: Error,
        cursor: &mut Cursor,
    ) -> Result<Option<Turn>> {
        cursor.push.failures += 1;
        if error.kind() == ErrorKind::Unavailable && cursor.push.failures < FAILURES {
            return Err(error);
        }
        let reason = format!("fan-out {}: polling, because {}", consumer.name, error.report());
        tracing::warn!(shard = self.shard, "{}: {reason}", self.shared.stream);
        self.sender.remark(Some(reason));
        // After the pause one more failure is enough: each of them takes its time.
        cursor.push.failures = FAILURES - 1;
        cursor.push.polls_until = Some(Instant::now() + self.shared.settings.fan_out_retry);
        if error.kind() == ErrorKind::Invalid {
            // Somebody may have deregistered it.
            subscriber.forget(consumer);
        }
        Ok(None)
    }
}
