//! Watermarks: how far event time has come. A watermark of `w` says that no row earlier than `w` is expected any more.
//! Each split has its own; a source's is the minimum of its splits, taken before any exchange.

use crate::field::FieldSpec;
use crate::units::Period;

/// How the rows of a source get their event time.
#[derive(Debug, Clone, PartialEq)]
pub enum EventTime {
    /// A field of the JSON value.
    Field(FieldSpec),
    /// The source's decoder plugin sets it.
    Plugin,
    /// The time at which the host read the row. Windows are then not repeatable.
    Arrival,
}

/// How a split's watermark follows its rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// Rows come at most so much out of order: the watermark is the latest event time minus this.
    BoundedDisorder(Period),
    /// Marker events in the stream, `{"type":"watermark","watermark":"2013-01-01T00:05:00Z"}`, say it. They are obeyed
    /// and not handed on.
    Markers,
}

/// The watermark settings of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct WatermarkSpec {
    /// How a split's watermark follows its rows.
    pub strategy: Strategy,
    /// A split that has caught up and stays silent so long is left out of the minimum. `None`: it holds the watermark.
    pub idle_timeout: Option<Period>,
    /// The watermark of a split never runs ahead of the wall clock by more than this.
    pub max_future: Period,
}

impl Default for WatermarkSpec {
    fn default() -> Self {
        Self {
            strategy: Strategy::BoundedDisorder(Period::from_millis(60_000)),
            idle_timeout: Some(Period::from_millis(30_000)),
            max_future: Period::from_millis(300_000),
        }
    }
}
