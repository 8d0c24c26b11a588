//! One table: what it is like, and requests to it. Nothing is tried again in here but the question at the start.

use super::item::{Attributes, Item, key_of};
use super::settings::Settings;
use crate::aws::Caller;
use crate::requests::{Answer, Fate, Service};
use crate::retry::{Backoff, until_answered};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableOutput;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, KeyType, PutRequest, ScalarAttributeType, TableStatus, WriteRequest,
};
use futures::future::join_all;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Error, ErrorKind, Result};

/// Bytes of a partition key and of a sort key.
const KEY_BYTES: [usize; 2] = [2_048, 1_024];

/// A key attribute of a table.
#[derive(Debug, Clone)]
pub struct Key {
    /// What it is called.
    pub name: String,
    /// What it holds.
    pub kind: KeyKind,
    /// Most bytes.
    pub most: usize,
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// A string.
    Text,
    /// A number.
    Number,
}

/// A table.
pub struct Table {
    client: Client,
    caller: Caller,
    name: String,
    keys: Vec<Key>,
    /// The attribute by which newer items are told from older ones.
    version: Option<String>,
    /// Items that did not take the place of a newer one.
    outdated: AtomicU64,
    ledger: Arc<StepLedger>,
}

impl Table {
    /// Finds out what the table is like.
    pub async fn open(settings: &Settings, ledger: Arc<StepLedger>) -> Result<Self> {
        let Settings { table: name, service, rows, .. } = settings;
        let (access, caller) = service.open(&format!("table {name}")).await?;
        let mut config = aws_sdk_dynamodb::config::Builder::from(&access.config);
        // Otherwise it stays what the environment or the profile says, for all of AWS or for DynamoDB alone.
        if let Some(endpoint) = service.endpoint() {
            config.set_endpoint_url(Some(endpoint));
        }
        let mut table = Self {
            client: Client::from_conf(config.build()),
            caller,
            name: name.clone(),
            keys: Vec::new(),
            version: rows.version.clone(),
            outdated: AtomicU64::new(0),
            ledger,
        };
        table.keys = until_answered(Backoff::new(service.patience), || table.describe()).await?;
        if table.keys.len() < 2 && rows.keys.iter().flatten().count() > table.keys.len() {
            return Err(Error::invalid(format!("{}: `sort_key`: the table has no sort key", table.caller)));
        }
        Ok(table)
    }

    /// Its key attributes, the partition key first.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    async fn describe(&self) -> Result<Vec<Key>> {
        let answer = self.client.describe_table().table_name(&self.name).send().await;
        let answer = answer.inspect(|_| self.caller.was_taken()).map_err(|error| {
            let is_missing = error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception());
            match is_missing {
                true => Error::invalid(format!("{}: there is no such table", self.caller)),
                false => self.caller.failure("describe table", error),
            }
        })?;
        self.keys_of(&answer)
    }

    fn keys_of(&self, answer: &DescribeTableOutput) -> Result<Vec<Key>> {
        let about = answer.table();
        match about.and_then(|about| about.table_status()) {
            Some(TableStatus::Creating) => {
                return Err(Error::unavailable(format!("{}: the table is being created", self.caller)));
            }
            Some(status @ (TableStatus::Deleting | TableStatus::Archived | TableStatus::Archiving)) => {
                return Err(Error::invalid(format!("{}: the table is {}", self.caller, status.as_str())));
            }
            _ => {}
        }
        let (schema, types) =
            about.map(|about| (about.key_schema(), about.attribute_definitions())).unwrap_or_default();
        let mut keys = Vec::new();
        for (wanted, most) in [KeyType::Hash, KeyType::Range].iter().zip(KEY_BYTES) {
            let Some(element) = schema.iter().find(|element| element.key_type() == wanted) else { continue };
            let name = element.attribute_name();
            let definition = types.iter().find(|definition| definition.attribute_name() == name);
            let kind = match definition.map(AttributeDefinition::attribute_type) {
                Some(ScalarAttributeType::S) => KeyKind::Text,
                Some(ScalarAttributeType::N) => KeyKind::Number,
                _ => {
                    let what = format!("{}: the key `{name}` is neither a string nor a number", self.caller);
                    return Err(Error::invalid(what).hint("rows are JSON, which has nothing else that a key could be"));
                }
            };
            keys.push(Key { name: name.to_owned(), kind, most });
        }
        match keys.is_empty() {
            true => Err(Error::unavailable(format!("{}: an answer without a key", self.caller))),
            false => Ok(keys),
        }
    }

    /// Writes items in one request, each in the place of the one with its key.
    async fn put_all(&self, items: &[&Item]) -> Result<Answer> {
        let writes = items.iter().map(|item| {
            let put = PutRequest::builder().set_item(Some(item.attributes.clone())).build();
            put.map(|put| WriteRequest::builder().put_request(put).build())
        });
        let writes: std::result::Result<Vec<_>, _> = writes.collect();
        let writes = writes.map_err(|error| Error::internal(format!("{}: {error}", self.caller)))?;
        let answer = self.client.batch_write_item().request_items(&self.name, writes).send().await;
        let answer = match answer.inspect(|_| self.caller.was_taken()) {
            Ok(answer) => answer,
            Err(error) => return self.caller.verdict(&format!("write {} items", items.len()), error),
        };
        let left: Vec<_> = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
        let key = |write: &WriteRequest| key_of(write.put_request()?.item(), &self.keys);
        let keys: Option<HashSet<String>> = left.iter().map(key).collect();
        let fate = |item: &&Item| match &keys {
            Some(keys) if !keys.contains(&item.key) => Fate::Done,
            // Of which items it speaks cannot be told: written once more, they are the same.
            _ => Fate::Again("the table has no room for it now (UnprocessedItems)".to_owned()),
        };
        Ok(Answer::Items(items.iter().map(fate).collect()))
    }

    /// Writes an item unless there is a newer one.
    async fn put(&self, item: &Item, version: &str) -> Fate {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(item.attributes.clone()));
        let request = request
            .condition_expression("attribute_not_exists(#version) OR #version < :version")
            .expression_attribute_names("#version", version)
            .set_expression_attribute_values(
                item.version.clone().map(|value| Attributes::from([(":version".to_owned(), value)])),
            );
        let answer = request.send().await;
        let error = match answer.inspect(|_| self.caller.was_taken()) {
            Ok(_) => return Fate::Done,
            Err(error) => error,
        };
        if error.as_service_error().and_then(|error| error.code()) == Some("ConditionalCheckFailedException") {
            self.caller.was_taken();
            let outdated = self.outdated.fetch_add(1, Relaxed) + 1;
            self.ledger.remark(
                "versions",
                Some(format!("{outdated} items were not written: there is a newer one, or the same")),
            );
            return Fate::Done;
        }
        match self.caller.verdict("write an item", error) {
            Ok(Answer::Malformed(reason)) => Fate::Refused(reason),
            Ok(_) => Fate::Again("no answer".to_owned()),
            Err(error) if error.kind() == ErrorKind::Denied => Fate::Barred(error.report()),
            Err(error) => Fate::Again(error.report()),
        }
    }
}

impl Service for Table {
    type Item = Item;

    async fn send(&self, items: &[&Item]) -> Result<Answer> {
        match &self.version {
            None => self.put_all(items).await,
            Some(version) => Ok(Answer::Items(join_all(items.iter().map(|item| self.put(item, version))).await)),
        }
    }

    fn renew_credentials(&self) {
        self.caller.renew_credentials();
    }
}
