//! Event-time windows: which windows a row belongs to, which close at a watermark, which merge, and the accumulators of
//! those that are open. It knows neither clocks nor plugins' insides: time comes in as watermarks, logic as [`Aggregate`].
//!
//! [`Aggregate`]: crate::plugin::Aggregate

pub mod spec;
pub mod state;

pub use spec::WindowSpec;
pub use state::{Taken, Windows};
