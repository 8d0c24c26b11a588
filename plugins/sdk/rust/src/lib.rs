//! Write wasmill plugins in Rust. A plugin is a function from rows to rows, a windowed aggregation, or logic over the rows of a
//! key; the host keeps time, windows, state, timers and I/O. Rows cross the boundary in columns, which this crate hides.
//!
//! A transform, whole:
//!
//! ```
//! use wasmill::{Fields, Keyed, keyed};
//!
//! #[derive(Fields)]
//! struct Trip {
//!     #[field("/pickup_zone|/PULocationID")]
//!     zone: i64,
//!     distance: f64,
//! }
//!
//! fn by_zone(trip: Trip) -> Option<Keyed<i64>> {
//!     (trip.distance > 0.0).then(|| keyed(trip.zone))
//! }
//!
//! wasmill::transform!(by_zone);
//! # fn main() {}
//! ```
//!
//! * [`Row`]: what a function can take. [`Output`]: what it can return. [`transform!`]: how it becomes a plugin.
//! * [`Aggregator`] and [`aggregator!`]: logic over windows.
//! * [`Process`] and [`process!`]: logic over the rows of a key, with a state and timers.
//! * [`Settings`](trait@Settings): what a job file can set. [`Failure`] and [`Fault`]: what can go wrong.
//! * [`log`]: lines for the host's log, [`metrics`]: numbers. A panic is logged with file and line by itself.
//!
//! Nothing here needs WebAssembly to run: plugins are tested with plain `cargo test`.

extern crate self as wasmill;

pub mod accumulator;
pub mod aggregator;
pub mod batch;
#[doc(hidden)]
pub mod bindings;
pub mod emit;
mod failure;
pub mod key;
pub mod log;
pub mod metrics;
pub mod process;
pub mod row;
pub mod settings;
pub mod time;
pub mod transform;
mod window;

pub use accumulator::Accumulator;
pub use aggregator::Aggregator;
pub use batch::{Batch, Binary, Cells, Column, Needs, Output as Columns, Reject, Rows, SideOutput, SideRows};
pub use emit::{Emit, Keyed, Output, emit, keyed};
pub use failure::{Failure, Fault};
pub use key::{Key, ToKey};
pub use process::{Context, Process};
pub use row::{EventTime, Json, Raw, Row};
pub use settings::Settings;
pub use time::Time;
pub use transform::{BatchTransform, Transform};
pub use wasmill_derive::{Accumulator, Fields, Outputs, Settings};
pub use window::{Pane, Window};

/// Compiles and runs the code of the README with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
