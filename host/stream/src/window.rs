//! Event-time windows: which windows a row belongs to, which close at a watermark, which merge, and the accumulators of
//! those that are open. It knows neither clocks nor plugins' insides: time comes in as watermarks, logic as [`Aggregate`].
//!
//! `sliding` holds tumbling and sliding windows (`grid`: where they lie; `slice`: their accumulators), `session` the session
//! windows (`plan`: how rows join them). Both find keys through `key_table`, ask the logic through `call`, and send results
//! through `outbox`.
//!
//! [`Aggregate`]: crate::plugin::Aggregate

mod call;
mod grid;
mod outbox;
mod session;
mod slice;
mod sliding;
pub mod spec;
pub mod state;
#[cfg(test)]
mod tests;

pub use spec::WindowSpec;
pub use state::{Advanced, Migrated, RefusedWindow, Taken, Windows};
