//! Documents that wait to be sent: the text of a `_bulk` request, and which row each piece of it came from.

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
}

/// A buffer of documents.
pub struct Bulk {
    body: BytesMut,
    items: Vec<Item>,
    batches: Vec<Arc<Batch>>,
    with_ids: bool,
    action: Action,
    /// The version of the documents of the batch that is being pushed.
    version: Option<i64>,
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
            version: None,
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

    /// Begins a batch: returns the ids of its rows, if documents have ids.
    pub fn begin(&mut self, batch: &Batch) -> Option<Vec<String>> {
        (self.version, self.is_ordered) = (None, false);
        if !self.with_ids {
            return None;
        }
        let mut ids = batch.row_ids();
        match (&mut self.action, &batch.firings) {
            (Action::Index(versions), Some(_)) => self.version = versions.as_mut().map(Versions::next),
            // It cannot take the place of what it corrects. The same correction must be the same document again.
            (Action::Create, Some(firings)) => {
                let late = (0..batch.len()).filter(|&row| firings[row].pane == Pane::Late);
                late.for_each(|row| ids[row] = format!("{}|{}", ids[row], Digest::of(batch.values.get(row))));
            }
            (_, None) => {}
        }
        // Records never come with another value under the same id; and of those with versions the server keeps the newest.
        self.is_ordered = batch.firings.is_some() && self.version.is_none();
        Some(ids)
    }

    /// Appends a row, or says why it is no document.
    pub fn push(&mut self, batch: &Arc<Batch>, row: usize, id: Option<&str>) -> Result<(), &'static str> {
        let value = batch.values.get(row);
        let several_lines = check_document(value)?;
        let start = self.body.len();
        self.push_action(batch.times[row], id);
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
        self.body.extend_from_slice(b"\n");
        if !self.batches.last().is_some_and(|last| Arc::ptr_eq(last, batch)) {
            self.batches.push(batch.clone());
        }
        let order = id.filter(|_| self.is_ordered).map(|id| xxh3_64(id.as_bytes()));
        self.items.push(Item { batch: self.batches.len() - 1, row, text: start..self.body.len(), order });
        Ok(())
    }

    fn push_action(&mut self, time: i64, id: Option<&str>) {
        self.body.extend_from_slice(match self.action {
            Action::Index(_) => b"{\"index\":{",
            Action::Create => b"{\"create\":{",
        });
        let start = self.body.len();
        if let Some(pattern) = &self.pattern {
            self.body.extend_from_slice(b"\"_index\":");
            self.body.extend_from_slice(self.index.at(time, pattern).as_bytes());
        }
        if let Some(id) = id {
            self.body.extend_from_slice(if self.body.len() > start { b",\"_id\":" } else { b"\"_id\":" });
            self.body.extend_from_slice(json_text(id).as_bytes());
        }
        // Only documents with ids have versions.
        if let Some(version) = self.version {
            let version = format!(",\"version\":{version},\"version_type\":\"external_gte\"");
            self.body.extend_from_slice(version.as_bytes());
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

    /// The line about each.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.items.iter().filter_map(|item| self.body[item.text.clone()].split(|byte| *byte == b'\n').next())
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
