//! Dead letters: rows that left the pipeline, with everything that is needed to see why and to send them again. They are
//! written as JSON lines by a sink like any other.

use crate::binary::BinaryBuilder;
use crate::plugin::{Identity, Reject};
use crate::time::iso8601;
use crate::window::RefusedWindow;
use crate::{Batch, Cause, Lineage};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// One dead letter as it is written. Members without a value are left out; times are ISO 8601, UTC.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetter {
    /// When the row left the pipeline, by the wall clock.
    pub at: String,
    /// Why, in one word: see [`Cause::name`].
    pub cause: String,
    /// Why, for people.
    pub reason: String,
    /// The source, step or sink that could not go on with it.
    pub step: String,
    /// The plugin of that step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Identity>,
    /// Where the record was read: source and split, such as `trips/shardId-000000000003`. None behind an aggregation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Its position in the split: a line, or a sequence number, with `:N` if it was the N-th user record in a Kinesis record
    /// (from 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// The record as it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Payload>,
    /// The row's value at that step, if it is not the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Payload>,
    /// The row's event time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<String>,
    /// The row's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Payload>,
    /// First instant of the row's window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_start: Option<String>,
    /// First instant after the row's window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_end: Option<String>,
    /// What the plugin has gathered of a window that it cannot finish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulator: Option<Payload>,
    /// The same of a window whose parts it cannot merge, in the order of their time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accumulators: Vec<Payload>,
}

/// Bytes in JSON: a text if they are UTF-8, else `{"base64": "…"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Payload {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Binary {
        /// Standard base64 with padding.
        base64: String,
    },
}

impl Payload {
    /// The payload of some bytes.
    pub fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Binary { base64: base64_simd::STANDARD.encode_to_string(bytes) },
        }
    }

    /// The bytes; `None` if the base64 is none.
    pub fn bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text.as_bytes())),
            Self::Binary { base64 } => base64_simd::STANDARD.decode_to_vec(base64).ok().map(Cow::Owned),
        }
    }
}

/// Collects the dead letters of one node until its operator sends them on.
#[derive(Debug)]
pub struct Letters {
    step: Arc<str>,
    plugin: Option<Identity>,
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    letter: DeadLetter,
    time: i64,
    lineage: Option<Lineage>,
}

impl Letters {
    /// No letters yet of the node `step`.
    pub fn new(step: Arc<str>, plugin: Option<Identity>) -> Self {
        Self { step, plugin, pending: Vec::new() }
    }

    /// A row of a batch. An unwritten value is looked for in the record that the row came from.
    pub fn row(&mut self, batch: &Batch, row: usize, cause: Cause, reason: &str) {
        let value = (!batch.values.is_empty()).then(|| batch.values.get(row));
        let record = batch.lineage.as_ref().and_then(|lineage| lineage.bytes(row));
        let firing = batch.firings.as_ref().map(|firings| firings[row]);
        let letter = DeadLetter {
            split: batch.lineage.as_ref().map(|lineage| lineage.split.to_string()),
            position: batch.lineage.as_ref().map(|lineage| lineage.positions.text(lineage.record(row))),
            record: record.map(Payload::new),
            value: value.filter(|value| record != Some(value)).map(Payload::new),
            event_time: (cause != Cause::Undecodable).then(|| iso8601(batch.times[row])),
            key: batch.key(row).map(Payload::new),
            window_start: firing.map(|window| iso8601(window.start)),
            window_end: firing.map(|window| iso8601(window.end)),
            ..self.letter(cause, reason)
        };
        let lineage = batch.lineage.as_ref().map(|lineage| lineage.select_positions(&[row as u32]));
        self.pending.push(Pending { letter, time: batch.times[row], lineage });
    }

    /// A row of a batch that a plugin refuses or fails on, maybe not the one of the node.
    pub fn reject(&mut self, batch: &Batch, row: usize, reject: &Reject) {
        self.row(batch, row, reject.cause, &reject.reason);
        self.is_by(reject.by.as_deref());
    }

    /// The last letter is about what this plugin says.
    fn is_by(&mut self, plugin: Option<&Identity>) {
        if let (Some(plugin), Some(last)) = (plugin, self.pending.last_mut()) {
            last.letter.plugin = Some(plugin.clone());
        }
    }

    /// A window that the plugin cannot finish.
    pub fn window(&mut self, refused: &RefusedWindow) {
        let mut accumulators: Vec<Payload> = refused.accumulators.iter().map(|bytes| Payload::new(bytes)).collect();
        let accumulator = if accumulators.len() == 1 { accumulators.pop() } else { None };
        let letter = DeadLetter {
            key: Some(Payload::new(&refused.key)),
            window_start: Some(iso8601(refused.window.start)),
            window_end: Some(iso8601(refused.window.end)),
            accumulator,
            accumulators,
            ..self.letter(refused.cause, &refused.reason)
        };
        self.pending.push(Pending { letter, time: refused.window.end - 1, lineage: None });
        self.is_by(refused.by.as_deref());
    }

    /// A timer of a key that the plugin fails on. `time`: when it was due, ms.
    pub fn timer(&mut self, key: &[u8], time: i64, cause: Cause, reason: &str) {
        let letter =
            DeadLetter { key: Some(Payload::new(key)), event_time: Some(iso8601(time)), ..self.letter(cause, reason) };
        self.pending.push(Pending { letter, time, lineage: None });
    }

    fn letter(&self, cause: Cause, reason: &str) -> DeadLetter {
        DeadLetter {
            cause: cause.name().to_owned(),
            reason: reason.to_owned(),
            step: self.step.to_string(),
            plugin: self.plugin.clone(),
            ..DeadLetter::default()
        }
    }

    /// Everything since the last call, as rows of JSON. `now`: wall clock, ms. Rows that were read together stay together,
    /// so that their ids come from their positions.
    pub fn take(&mut self, now: i64) -> Vec<Batch> {
        let at = iso8601(now);
        let mut batches = Vec::new();
        let together = |a: &Pending, b: &Pending| match (&a.lineage, &b.lineage) {
            (Some(a), Some(b)) => Arc::ptr_eq(&a.positions, &b.positions),
            (None, None) => true,
            _ => false,
        };
        let mut pending = std::mem::take(&mut self.pending);
        for run in pending.chunk_by_mut(together) {
            let mut values = BinaryBuilder::default();
            for one in run.iter_mut() {
                one.letter.at.clone_from(&at);
                // Text and numbers always become JSON.
                values.push(&serde_json::to_vec(&one.letter).unwrap_or_default());
            }
            let records = run.iter().filter_map(|one| one.lineage.as_ref().map(|lineage| lineage.record(0) as u32));
            let records = Some(records.collect());
            let lineage = run[0].lineage.as_ref().map(|first| Lineage { records, ..first.clone() });
            batches.push(Batch {
                step: self.step.clone(),
                times: run.iter().map(|one| one.time).collect(),
                values: values.finish(),
                lineage,
                ..Batch::default()
            });
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Firing, Pane, Positions, SplitId};

    fn batch(values: [&[u8]; 2]) -> Batch {
        let lineage = Lineage {
            split: SplitId::new("trips", 3),
            positions: Arc::new(Positions::Consecutive { first: 100 }),
            records: None,
            bytes: Some(values.into_iter().collect()),
        };
        Batch {
            times: vec![0, 1_000],
            values: values.into_iter().collect(),
            lineage: Some(lineage),
            ..Batch::default()
        }
    }

    /// A refused row → its letter says where it came from and why, with the bytes as they were read, text or not.
    #[test]
    fn a_letter_is_complete() {
        let identity = Identity { name: "p".to_owned(), version: "1".to_owned(), digest: "ab".to_owned() };
        let mut letters = Letters::new("parse".into(), Some(identity));
        let batch = batch([b"{}", b"\xff\0"]).select(&[1, 0]);
        letters.row(&batch, 0, Cause::Rejected, "no fare");
        letters.row(&batch, 1, Cause::Undecodable, "no time");
        let rows = letters.take(1_356_998_400_000);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].row_ids(), ["parse|trips/3|101", "parse|trips/3|100"]);
        let read = |row| serde_json::from_slice::<DeadLetter>(rows[0].values.get(row)).expect("a letter");
        let first = read(0);
        assert_eq!(
            serde_json::to_value(&first).expect("JSON"),
            serde_json::json!({
                "at": "2013-01-01T00:00:00.000Z", "cause": "rejected", "reason": "no fare", "step": "parse",
                "plugin": {"name": "p", "version": "1", "sha256": "ab"}, "split": "trips/3", "position": "101",
                "record": {"base64": "/wA="}, "event_time": "1970-01-01T00:00:01.000Z",
            })
        );
        assert_eq!(first.record.and_then(|record| record.bytes().map(Cow::into_owned)), Some(vec![0xff, 0]));
        assert_eq!((read(1).record, read(1).event_time), (Some(Payload::Text("{}".to_owned())), None));
        assert!(letters.take(0).is_empty());
    }

    /// A window that cannot be finished → its accumulator; one whose parts cannot be merged → each of them.
    #[test]
    fn windows_keep_what_they_have_gathered() {
        let mut letters = Letters::new("s".into(), None);
        let window = |accumulators: &[&str]| RefusedWindow {
            window: Firing { start: 0, end: 1_000, pane: Pane::OnTime },
            key: b"k".to_vec(),
            accumulators: accumulators.iter().map(|one| one.as_bytes().to_vec()).collect(),
            cause: Cause::Rejected,
            reason: "no".to_owned(),
            by: None,
        };
        [window(&["a"]), window(&["b", "c"])].iter().for_each(|window| letters.window(window));
        let rows = letters.take(0);
        let read = |row| serde_json::from_slice::<serde_json::Value>(rows[0].values.get(row)).expect("a letter");
        let gathered = |row| (read(row)["accumulator"].clone(), read(row)["accumulators"].clone());
        assert_eq!(gathered(0), ("a".into(), serde_json::Value::Null));
        assert_eq!(gathered(1), (serde_json::Value::Null, serde_json::json!(["b", "c"])));
    }

    /// A value that a step has rewritten → both the record as read and the value.
    #[test]
    fn a_rewritten_value_is_there_as_well() {
        let mut letters = Letters::new("s".into(), None);
        let batch = Batch { values: ["x", "y"].into_iter().collect(), ..batch([b"a", b"b"]) };
        letters.row(&batch, 1, Cause::Late, "late");
        let rows = letters.take(0);
        let letter: DeadLetter = serde_json::from_slice(rows[0].values.get(0)).expect("a letter");
        assert_eq!((letter.record, letter.value), (Some(Payload::new(b"b")), Some(Payload::new(b"y"))));
    }
}
