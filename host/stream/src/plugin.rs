//! What the engine asks of user logic, whatever it is written in. `plugin` implements these traits over WebAssembly
//! components; tests implement them natively. Calls are pure: nothing that matters may live between two of them.

use crate::field::FieldSpec;
use crate::{Batch, Binary, Column, Firing, Result};
use std::sync::Arc;

/// What a plugin wants to see and what it gives back, fixed once it is configured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Needs {
    /// The fields to decode for it, in the order in which it gets them.
    pub fields: Vec<FieldSpec>,
    /// Whether it reads the raw values.
    pub reads_values: bool,
    /// Whether its output rows carry values of its own. If not, the host keeps the bytes of the input row.
    pub writes_values: bool,
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

/// A row that a plugin refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Row number in the batch of the call.
    pub row: u32,
    /// Why, in the plugin's words.
    pub reason: String,
}

/// What a transform returns. Row numbers are checked by whoever implements [`Transform`]; `None` columns are unchanged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transformed {
    /// For each output row the input row that it came from, ascending. `None`: one output row per input row.
    pub origins: Option<Vec<u32>>,
    /// New event times, one per output row.
    pub times: Option<Vec<i64>>,
    /// New keys, one per output row.
    pub keys: Option<Binary>,
    /// New values, one per output row; there if and only if the plugin declared to write values.
    pub values: Option<Binary>,
    /// Input rows that it refuses. They may not be origins as well.
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
}

/// Windowed logic over accumulators, which are bytes that only the plugin understands. Empty bytes are a fresh accumulator.
pub trait Aggregate: Send {
    /// Adds each row of the batch to the accumulator that `groups` names for it.
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated>;

    /// Merges accumulators: number `i` goes into result `groups[i]`, in the order given. There are `count` results.
    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Binary>;

    /// Turns the accumulators of fired windows into 0..n results each.
    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished>;
}

/// Makes instances of one plugin, configured. Each worker has its own.
pub trait Plugin: Send + Sync {
    /// What its instances want and give.
    fn needs(&self) -> &Needs;
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

/// A shared transform plugin.
pub type SharedTransform = Arc<dyn TransformPlugin>;
/// A shared aggregate plugin.
pub type SharedAggregate = Arc<dyn AggregatePlugin>;
