//! What the engine asks of user logic, whatever it is written in. `plugin` implements these traits over WebAssembly
//! components; tests implement them natively. Calls are pure: nothing that matters may live between two of them.

use crate::field::FieldSpec;
use crate::{Batch, Binary, Cause, Column, Error, Firing, GuestFault, GuestLedger, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who a plugin is, for messages and dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of its component in hex; empty for native logic.
    #[serde(rename = "sha256")]
    pub digest: String,
}

/// An output besides the main one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Its name: later steps take its rows as `STEP.NAME`.
    pub name: String,
    /// Whether its rows carry values of their own. If not, the host keeps the bytes of the input row.
    pub writes_values: bool,
}

/// What a plugin wants to see and what it gives back, fixed once it is configured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Needs {
    /// The fields to decode for it, in the order in which it gets them.
    pub fields: Vec<FieldSpec>,
    /// Whether it reads the raw values.
    pub reads_values: bool,
    /// Whether its output rows carry values of its own. If not, the host keeps the bytes of the input row.
    pub writes_values: bool,
    /// Its side outputs, which answers name by number.
    pub sides: Vec<Side>,
}

/// The part of a batch that a plugin sees.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// Event times, ms.
    pub times: &'a [i64],
    /// Keys, if the rows have any.
    pub keys: Option<&'a Binary>,
    /// Raw values, if the plugin reads them.
    pub values: Option<&'a Binary>,
    /// The fields of [`Needs::fields`], in that order.
    pub fields: Vec<&'a Column>,
}

impl<'a> View<'a> {
    /// What a plugin with these needs sees of a batch. `columns` says which of the batch's fields are the plugin's.
    pub fn of(batch: &'a Batch, needs: &Needs, columns: &[usize]) -> Self {
        Self {
            times: &batch.times,
            keys: batch.keys.as_ref(),
            values: needs.reads_values.then_some(&batch.values),
            fields: columns.iter().map(|&at| &batch.fields[at]).collect(),
        }
    }
}

/// Some rows of what a plugin sees, owned; byte columns still share the batch's buffer. Made only when rows have to be left
/// out of a call: because they are late, refused, or make the plugin fail, or because a call would become too large.
#[derive(Debug, Clone)]
pub struct Selection {
    times: Vec<i64>,
    keys: Option<Binary>,
    values: Option<Binary>,
    fields: Vec<Column>,
}

impl Selection {
    /// The chosen rows of a view, in the order given.
    pub fn new(view: &View<'_>, rows: &[u32]) -> Self {
        Self {
            times: rows.iter().map(|&row| view.times[row as usize]).collect(),
            keys: view.keys.map(|keys| keys.select(rows)),
            values: view.values.map(|values| values.select(rows)),
            fields: view.fields.iter().map(|column| column.select(rows)).collect(),
        }
    }

    /// What a plugin sees of them.
    pub fn view(&self) -> View<'_> {
        View {
            times: &self.times,
            keys: self.keys.as_ref(),
            values: self.values.as_ref(),
            fields: self.fields.iter().collect(),
        }
    }
}

/// A row that a plugin refuses or fails on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Row number in the batch of the call.
    pub row: u32,
    /// Whether it was refused, or how the plugin fails on it.
    pub cause: Cause,
    /// Why, in the plugin's words.
    pub reason: String,
    /// Which version it was, if it is not the one that answers for the step.
    pub by: Option<Arc<Identity>>,
}

impl Reject {
    /// A row that the plugin refuses.
    pub fn new(row: u32, reason: impl Into<String>) -> Self {
        Self { row, cause: Cause::Rejected, reason: reason.into(), by: None }
    }
}

/// Output rows; `None` columns are those of the rows that they came from. Whoever implements the plugin traits has checked
/// row numbers and lengths.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// For each output row the input row that it came from. `None`: one output row per input row.
    pub origins: Option<Vec<u32>>,
    /// New event times.
    pub times: Option<Vec<i64>>,
    /// New keys.
    pub keys: Option<Binary>,
    /// New values; there if and only if the plugin declared to write values to this output.
    pub values: Option<Binary>,
}

impl Rows {
    /// These rows made of the batch that they came from. Its fields stay those of the rows that it had: whoever takes new
    /// values decodes them anew.
    pub fn apply(self, mut batch: Batch) -> Batch {
        // What is replaced need not be selected before.
        if self.keys.is_some() {
            batch.keys = None;
        }
        if self.values.is_some() {
            batch.values = Binary::default();
        }
        if let Some(origins) = &self.origins {
            batch = batch.select(origins);
        }
        batch.times = self.times.unwrap_or(batch.times);
        batch.keys = self.keys.or(batch.keys);
        batch.values = self.values.unwrap_or(batch.values);
        batch
    }
}

/// What a transform returns. Origins ascend.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transformed {
    /// The rows of the main output.
    pub main: Rows,
    /// The rows of side outputs, by number, each at most once.
    pub sides: Vec<(u32, Rows)>,
    /// Input rows that it refuses. They are not origins.
    pub rejects: Vec<Reject>,
}

/// Stateless logic: 0..n output rows per row.
pub trait Transform: Send {
    /// Transforms one batch.
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed>;
}

/// What an aggregator returns from one accumulation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Accumulated {
    /// The new accumulators, as many and in the same order as those given.
    pub accumulators: Binary,
    /// Rows that it refuses; they must not have changed their accumulator.
    pub rejects: Vec<Reject>,
}

/// Merged accumulators.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merged {
    /// One per result.
    pub accumulators: Binary,
    /// Results, by number, that it fails on. Their accumulators are empty.
    pub rejects: Vec<Reject>,
}

impl From<Binary> for Merged {
    fn from(accumulators: Binary) -> Self {
        Self { accumulators, rejects: Vec::new() }
    }
}

/// Accumulators whose windows fire.
#[derive(Debug)]
pub struct Fired<'a> {
    /// One window per accumulator.
    pub windows: &'a [Firing],
    /// One key per accumulator.
    pub keys: &'a Binary,
    /// The accumulators.
    pub accumulators: &'a Binary,
}

/// The results of fired windows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Finished {
    /// For each result the accumulator that it came from, ascending. `None`: one result per accumulator.
    pub origins: Option<Vec<u32>>,
    /// The results.
    pub values: Binary,
    /// Accumulators, by number, that it refuses or fails on. They are not origins.
    pub rejects: Vec<Reject>,
}

/// Windowed logic over accumulators, which are bytes that only the plugin understands. Empty bytes are a fresh accumulator.
pub trait Aggregate: Send {
    /// Adds each row of the batch to the accumulator that `groups` names for it.
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated>;

    /// Merges accumulators: number `i` goes into result `groups[i]`, in the order given. There are `count` results.
    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged>;

    /// Turns the accumulators of fired windows into 0..n results each.
    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished>;

    /// Rewrites accumulators of an older version of the logic, as many and in the same order.
    fn migrate(&mut self, from: u32, accumulators: &Binary) -> Result<Binary> {
        let _ = accumulators;
        Err(Error::guest(GuestFault::Fatal, format!("version {from} of the state is unknown")))
    }
}

/// Event-time timers in columns, sorted by key number, then by time; no two are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timers {
    /// The number of the key that each belongs to.
    pub groups: Vec<u32>,
    /// When they fire, ms.
    pub times: Vec<i64>,
}

impl Timers {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds one, which comes after those that are there.
    pub fn push(&mut self, group: u32, time: i64) {
        self.groups.push(group);
        self.times.push(time);
    }

    /// Key number and time of each.
    pub fn iter(&self) -> impl Iterator<Item = (u32, i64)> + '_ {
        self.groups.iter().copied().zip(self.times.iter().copied())
    }
}

/// Some keys, with everything that has happened to them since the call before. See `wit/process.wit`.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The keys, all different.
    pub keys: &'a Binary,
    /// One state per key; empty bytes: none.
    pub states: &'a Binary,
    /// For each row the number of its key.
    pub groups: &'a [u32],
    /// The rows, without their keys.
    pub batch: View<'a>,
    /// Every pending timer of these keys.
    pub timers: &'a Timers,
    /// No row earlier than this is expected any more.
    pub watermark: i64,
    /// Whether rows come in the order of their event times, so that timers fire between them.
    pub ordered: bool,
}

/// What a process returns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Processed {
    /// The new states, one per key.
    pub states: Binary,
    /// All timers that are now pending, later than the watermark.
    pub timers: Timers,
    /// The rows of the main output. Origins need not ascend; `rows + k` says that a timer of key `k` has fired.
    pub main: Rows,
    /// The rows of side outputs, by number, each at most once.
    pub sides: Vec<(u32, Rows)>,
    /// Rows that it refuses. They are not origins.
    pub rejects: Vec<Reject>,
}

/// Keyed logic with state and timers. States are bytes that only the plugin understands.
pub trait Process: Send {
    /// Processes rows and fires timers.
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed>;

    /// Rewrites states of an older version of the logic, as many and in the same order.
    fn migrate(&mut self, from: u32, states: &Binary) -> Result<Binary> {
        let _ = states;
        Err(Error::guest(GuestFault::Fatal, format!("version {from} of the state is unknown")))
    }
}

/// Makes instances of one plugin, configured. Each worker has its own.
pub trait Plugin: Send + Sync {
    /// Who it is.
    fn identity(&self) -> &Identity;

    /// What its instances want and give.
    fn needs(&self) -> &Needs;

    /// The version of the accumulators or states that its instances write.
    fn state_version(&self) -> u32 {
        0
    }

    /// What its instances cost and count, all together.
    fn ledger(&self) -> &Arc<GuestLedger>;
}

/// A plugin that transforms.
pub trait TransformPlugin: Plugin {
    /// A fresh instance.
    fn instantiate(&self) -> Result<Box<dyn Transform>>;
}

/// A plugin that aggregates.
pub trait AggregatePlugin: Plugin {
    /// A fresh instance.
    fn instantiate(&self) -> Result<Box<dyn Aggregate>>;
}

/// A plugin that processes.
pub trait ProcessPlugin: Plugin {
    /// A fresh instance.
    fn instantiate(&self) -> Result<Box<dyn Process>>;
}

/// A shared transform plugin.
pub type SharedTransform = Arc<dyn TransformPlugin>;
/// A shared aggregate plugin.
pub type SharedAggregate = Arc<dyn AggregatePlugin>;
/// A shared process plugin.
pub type SharedProcess = Arc<dyn ProcessPlugin>;

/// A plugin of any kind, configured: what may take the place of another one.
#[derive(Clone)]
pub enum Version {
    #[allow(missing_docs)]
    Transform(SharedTransform),
    #[allow(missing_docs)]
    Aggregate(SharedAggregate),
    #[allow(missing_docs)]
    Process(SharedProcess),
}

/// An instance of a plugin of any kind.
pub enum Logic {
    #[allow(missing_docs)]
    Transform(Box<dyn Transform>),
    #[allow(missing_docs)]
    Aggregate(Box<dyn Aggregate>),
    #[allow(missing_docs)]
    Process(Box<dyn Process>),
}

impl Version {
    /// What is true of plugins of every kind.
    pub fn plugin(&self) -> &dyn Plugin {
        match self {
            Self::Transform(plugin) => &**plugin,
            Self::Aggregate(plugin) => &**plugin,
            Self::Process(plugin) => &**plugin,
        }
    }

    /// Which kind it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Transform(_) => "transform",
            Self::Aggregate(_) => "aggregator",
            Self::Process(_) => "process",
        }
    }

    /// A fresh instance.
    pub fn instantiate(&self) -> Result<Logic> {
        match self {
            Self::Transform(plugin) => plugin.instantiate().map(Logic::Transform),
            Self::Aggregate(plugin) => plugin.instantiate().map(Logic::Aggregate),
            Self::Process(plugin) => plugin.instantiate().map(Logic::Process),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that name some rows of a batch and bring one column → that column is theirs, the others are the batch's.
    #[test]
    fn rows_take_over_what_they_leave_out() {
        let texts = |texts: [&str; 2]| texts.into_iter().collect::<Binary>();
        let batch =
            Batch { times: vec![1, 2], keys: Some(texts(["a", "b"])), values: texts(["x", "y"]), ..Batch::default() };
        let swapped = Rows { origins: Some(vec![1, 0]), ..Rows::default() };
        let columns = |rows: Rows| {
            let batch = rows.apply(batch.clone());
            (batch.times, batch.keys.expect("keys"), batch.values)
        };
        assert_eq!(columns(Rows::default()), (vec![1, 2], texts(["a", "b"]), texts(["x", "y"])));
        assert_eq!(columns(swapped.clone()), (vec![2, 1], texts(["b", "a"]), texts(["y", "x"])));
        let timed = Rows { times: Some(vec![7, 8]), ..swapped.clone() };
        assert_eq!(columns(timed), (vec![7, 8], texts(["b", "a"]), texts(["y", "x"])));
        let keyed = Rows { keys: Some(texts(["k", "l"])), ..swapped.clone() };
        assert_eq!(columns(keyed), (vec![2, 1], texts(["k", "l"]), texts(["y", "x"])));
        let written = Rows { values: Some(texts(["v", "w"])), ..swapped };
        assert_eq!(columns(written), (vec![2, 1], texts(["b", "a"]), texts(["v", "w"])));
    }
}
