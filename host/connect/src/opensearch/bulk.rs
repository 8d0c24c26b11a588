//! Documents that wait to be sent: the text of a `_bulk` request, and which row each piece of it came from.

use super::identity::{Identities, Identity};
use super::settings::{Collection, Settings};
use super::version::Versions;
use crate::time_pattern::{STEP_MILLIS, TimePattern};
use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use serde::de::IgnoredAny;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use wasmill_stream::checkpoint::Digest;
use wasmill_stream::{Batch, Pane};
use xxhash_rust::xxh3::xxh3_64;

/// How documents are written.
#[derive(Debug)]
pub enum Action {
    /// Each takes the place of the one with its id. Results of windows have versions, if there are some.
    Index(Option<Versions>),
    /// Each is refused if there is one with its id.
    Create,
    /// Its members take the place of those of the one with its id.
    Update {
        /// Whether it is written if there is none.
        or_create: bool,
    },
}

/// A buffer of documents.
pub struct Bulk {
    body: BytesMut,
    items: Vec<Item>,
    batches: Vec<Arc<Batch>>,
    with_ids: bool,
    action: Action,
    /// What rows bring along.
    own: Identities,
    /// Whether the order of its documents counts, of those with the same id.
    is_ordered: bool,
    /// The index pattern, if every document has to name its index.
    pattern: Option<TimePattern>,
    index: IndexName,
}

/// One document and the line about it.
struct Item {
    batch: usize,
    row: usize,
    text: Range<usize>,
    /// Stands for its id, if documents of that id must arrive in the order in which they came.
    order: Option<u64>,
}

/// The index name of the last row: rows of an hour share it.
#[derive(Default)]
struct IndexName {
    hour: Option<i64>,
    json: String,
}

impl Bulk {
    /// An empty buffer.
    pub fn new(settings: &Settings, action: Action) -> Self {
        Self {
            body: BytesMut::new(),
            items: Vec::new(),
            batches: Vec::new(),
            with_ids: settings.collection == Collection::Documents,
            action,
            own: Identities::new(&settings.identity),
            is_ordered: false,
            pattern: (!settings.index.is_literal()).then(|| settings.index.clone()),
            index: IndexName::default(),
        }
    }

    /// How many documents wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Begins a batch: returns under which id and version each of its rows is written, or why it cannot be.
    pub fn begin(&mut self, batch: &Batch) -> Vec<Result<Identity, &'static str>> {
        self.is_ordered = false;
        if !self.with_ids {
            return vec![Ok(Identity::default()); batch.len()];
        }
        if let Some(own) = self.own.of(batch) {
            self.is_ordered = !self.own.has_versions();
            return own;
        }
        let (mut ids, mut version) = (batch.row_ids(), None);
        match (&mut self.action, &batch.firings) {
            (Action::Index(versions), Some(_)) => version = versions.as_mut().map(Versions::next),
            // It cannot take the place of what it corrects. The same correction must be the same document again.
            (Action::Create, Some(firings)) => {
                let late = (0..batch.len()).filter(|&row| firings[row].pane == Pane::Late);
                late.for_each(|row| ids[row] = format!("{}|{}", ids[row], Digest::of(batch.values.get(row))));
            }
            _ => {}
        }
        // Records never come with another value under the same id; and of those with versions the server keeps the newest.
        self.is_ordered = batch.firings.is_some() && version.is_none();
        ids.into_iter().map(|id| Ok(Identity { id: Some(id), version })).collect()
    }

    /// Appends a row, or says why it is no document.
    pub fn push(&mut self, batch: &Arc<Batch>, row: usize, identity: &Identity) -> Result<(), &'static str> {
        let value = batch.values.get(row);
        let several_lines = check_document(value)?;
        let start = self.body.len();
        self.push_action(batch.times[row], identity);
        let around = match self.action {
            Action::Index(_) | Action::Create => ("", "\n"),
            Action::Update { or_create: false } => ("{\"doc\":", "}\n"),
            Action::Update { or_create: true } => ("{\"doc_as_upsert\":true,\"doc\":", "}\n"),
        };
        self.body.extend_from_slice(around.0.as_bytes());
        let document = self.body.len();
        self.body.extend_from_slice(value);
        if several_lines {
            // In valid JSON a raw line break stands between tokens only.
            for byte in &mut self.body[document..] {
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        }
        self.body.extend_from_slice(around.1.as_bytes());
        if !self.batches.last().is_some_and(|last| Arc::ptr_eq(last, batch)) {
            self.batches.push(batch.clone());
        }
        let order = identity.id.as_ref().filter(|_| self.is_ordered).map(|id| xxh3_64(id.as_bytes()));
        self.items.push(Item { batch: self.batches.len() - 1, row, text: start..self.body.len(), order });
        Ok(())
    }

    fn push_action(&mut self, time: i64, Identity { id, version }: &Identity) {
        self.body.extend_from_slice(match self.action {
            Action::Index(_) => b"{\"index\":{",
            Action::Create => b"{\"create\":{",
            // The server reads a document before it changes it; others may change it meanwhile.
            Action::Update { .. } => b"{\"update\":{\"retry_on_conflict\":3",
        });
        let mut comma = matches!(self.action, Action::Update { .. });
        let mut member = |body: &mut BytesMut, name: &[u8], value: &[u8]| {
            let parts = [if comma { &b","[..] } else { b"" }, name, b":", value];
            parts.into_iter().for_each(|part| body.extend_from_slice(part));
            comma = true;
        };
        if let Some(pattern) = &self.pattern {
            member(&mut self.body, b"\"_index\"", self.index.at(time, pattern).as_bytes());
        }
        if let Some(id) = id {
            member(&mut self.body, b"\"_id\"", json_text(id).as_bytes());
        }
        // Only documents with ids have versions.
        if let Some(version) = version {
            member(&mut self.body, b"\"version\"", version.to_string().as_bytes());
            member(&mut self.body, b"\"version_type\"", b"\"external_gte\"");
        }
        self.body.extend_from_slice(b"}}\n");
    }

    /// Empties the buffer.
    pub fn take(&mut self) -> Documents {
        Documents {
            body: std::mem::take(&mut self.body).freeze(),
            items: std::mem::take(&mut self.items),
            batches: std::mem::take(&mut self.batches),
        }
    }

    /// Empties the buffer but for its last document, which would make the request too large.
    pub fn take_but_last(&mut self) -> Documents {
        let last = self.items.pop();
        let start = last.as_ref().map_or(self.body.len(), |last| last.text.start);
        let rest = self.body.split_off(start);
        let batch = last.as_ref().and_then(|last| self.batches.get(last.batch)).cloned();
        let documents = self.take();
        self.items.extend(last.map(|last| Item { batch: 0, text: 0..rest.len(), ..last }));
        self.batches.extend(batch);
        self.body = rest;
        documents
    }
}

impl IndexName {
    fn at(&mut self, time: i64, pattern: &TimePattern) -> &str {
        let hour = time.div_euclid(STEP_MILLIS);
        if self.hour != Some(hour) {
            self.hour = Some(hour);
            self.json = json_text(&pattern.at(time));
        }
        &self.json
    }
}

/// Documents that are being sent, called by their number.
pub struct Documents {
    body: Bytes,
    items: Vec<Item>,
    batches: Vec<Arc<Batch>>,
}

impl Documents {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// How many bytes they take in a request.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// What stands for the ids whose order counts.
    pub fn orders(&self) -> HashSet<u64> {
        self.items.iter().filter_map(|item| item.order).collect()
    }

    /// What stands for the id of a document, if its order counts.
    pub fn order(&self, number: usize) -> Option<u64> {
        self.items[number].order
    }

    /// The request for some of them. All of them cost no copy.
    pub fn request(&self, numbers: &[usize]) -> Bytes {
        if numbers.len() == self.items.len() {
            return self.body.clone();
        }
        let texts = || numbers.iter().map(|&number| &self.body[self.items[number].text.clone()]);
        let mut body = BytesMut::with_capacity(texts().map(<[u8]>::len).sum());
        texts().for_each(|text| body.extend_from_slice(text));
        body.freeze()
    }

    /// The line about each, and whether there may be another document under its id already.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let first = |item: &Item| self.body[item.text.clone()].split(|byte| *byte == b'\n').next();
        self.items.iter().filter_map(move |item| Some((first(item)?, item.order.is_some())))
    }

    /// The value of the row that a document was made of.
    pub fn value(&self, number: usize) -> &[u8] {
        let (batch, row) = self.origin(number);
        batch.values.get(row)
    }

    /// The row that a document was made of.
    pub fn origin(&self, number: usize) -> (&Batch, usize) {
        let item = &self.items[number];
        (&self.batches[item.batch], item.row)
    }
}

/// Whether a value is a document, and whether it has line breaks in it. Only what could break the *request* is looked
/// at here, the rest is left to the server.
fn check_document(value: &[u8]) -> Result<bool, &'static str> {
    if value.trim_ascii_start().first() != Some(&b'{') {
        return Err("not a JSON object");
    }
    let several_lines = memchr2(b'\n', b'\r', value).is_some();
    if several_lines && serde_json::from_slice::<IgnoredAny>(value).is_err() {
        return Err("several lines that are not one JSON object");
    }
    Ok(several_lines)
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is not one JSON object never reaches the request, where it would spoil its neighbours.
    #[test]
    fn only_objects_are_documents() {
        assert_eq!(check_document(b"{\"a\":1}"), Ok(false));
        assert_eq!(check_document(b" {\n\"a\": 1\r\n}"), Ok(true));
        for bad in [&b""[..], b"\n", b"[1]", b"null", b"{\"a\":1}\n{\"b\":2}", b"{\"a\":\n"] {
            assert!(check_document(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
