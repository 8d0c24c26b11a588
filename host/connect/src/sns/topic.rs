//! One topic, and requests to it. Nothing is tried again in here but the question at the start.

use super::message::Message;
use super::settings::Settings;
use crate::aws::{Caller, is_about_caller, is_missing, is_passing};
use crate::requests::pace::Pace;
use crate::requests::{Answer, Fate, Service};
use crate::retry::{Backoff, until_answered};
use aws_sdk_sns::Client;
use aws_sdk_sns::types::{BatchResultErrorEntry, MessageAttributeValue, PublishBatchRequestEntry};
use std::collections::HashMap;
use wasmill_stream::{Error, ErrorKind, Result};

/// A topic.
pub struct Topic {
    client: Client,
    caller: Caller,
    arn: String,
    pace: Option<Pace>,
}

impl Topic {
    /// Looks whether the topic is there.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let Settings { topic: arn, service, rate, .. } = settings;
        let (access, caller) = service.open(&format!("topic {arn}")).await?;
        let mut config = aws_sdk_sns::config::Builder::from(&access.config);
        // Otherwise it stays what the environment or the profile says, for all of AWS or for SNS alone.
        if let Some(endpoint) = service.endpoint() {
            config.set_endpoint_url(Some(endpoint));
        }
        let pace = rate.map(|(rate, burst)| Pace::new(rate, burst));
        let topic = Self { client: Client::from_conf(config.build()), caller, arn: arn.clone(), pace };
        match until_answered(Backoff::new(service.patience), || topic.look()).await {
            // Publishing is another right than looking.
            Err(error) if error.kind() == ErrorKind::Denied => {
                tracing::warn!("whether the topic is there shows with the first message: {}", error.report());
            }
            answer => answer?,
        }
        Ok(topic)
    }

    async fn look(&self) -> Result<()> {
        let answer = self.client.get_topic_attributes().topic_arn(&self.arn).send().await;
        answer.inspect(|_| self.caller.was_taken()).map(drop).map_err(|error| {
            let is_missing = error.as_service_error().is_some_and(|error| error.is_not_found_exception());
            match is_missing {
                true => Error::invalid(format!("{}: there is no such topic", self.caller)),
                false => self.caller.failure("look at the topic", error),
            }
        })
    }
}

impl Service for Topic {
    type Item = Message;

    async fn send(&self, messages: &[&Message]) -> Result<Answer> {
        if let Some(pace) = &self.pace {
            pace.take(messages.len()).await;
        }
        let entries: std::result::Result<Vec<_>, _> = messages.iter().enumerate().map(entry).collect();
        let entries = entries.map_err(|error| Error::internal(format!("{}: {error}", self.caller)))?;
        let request = self.client.publish_batch().topic_arn(&self.arn).set_publish_batch_request_entries(Some(entries));
        let answer = match request.send().await.inspect(|_| self.caller.was_taken()) {
            Ok(answer) => answer,
            Err(error) => return self.caller.verdict(&format!("publish {} messages", messages.len()), error),
        };
        let mut fates = HashMap::new();
        for published in answer.successful() {
            fates.extend(published.id().map(|id| (id.to_owned(), Fate::Done)));
        }
        for failed in answer.failed() {
            fates.insert(failed.id().to_owned(), fate(failed));
        }
        let unsaid = || Fate::Again("an answer that leaves it out".to_owned());
        let fate = |number: usize| fates.remove(&number.to_string()).unwrap_or_else(unsaid);
        Ok(Answer::Items((0..messages.len()).map(fate).collect()))
    }

    fn renew_credentials(&self) {
        self.caller.renew_credentials();
    }
}

type Entry = std::result::Result<PublishBatchRequestEntry, aws_sdk_sns::error::BuildError>;

/// A message as a part of a request, called by its number.
fn entry((number, message): (usize, &&Message)) -> Entry {
    let mut entry = PublishBatchRequestEntry::builder().id(number.to_string()).message(&message.text);
    entry = entry.set_subject(message.subject.clone());
    for (name, is_number, value) in &message.attributes {
        let kind = if *is_number { "Number" } else { "String" };
        entry = entry
            .message_attributes(name, MessageAttributeValue::builder().data_type(kind).string_value(value).build()?);
    }
    if let Some((group, dedup)) = &message.fifo {
        entry = entry.message_group_id(group).message_deduplication_id(dedup);
    }
    entry.build()
}

/// What becomes of a message that was left out.
fn fate(failed: &BatchResultErrorEntry) -> Fate {
    let code = failed.code();
    let reason = failed.message().map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"));
    match code {
        code if is_about_caller(code) || is_missing(code) => Fate::Barred(reason),
        code if is_passing(code) || !failed.sender_fault() => Fate::Again(reason),
        _ => Fate::Refused(reason),
    }
}
