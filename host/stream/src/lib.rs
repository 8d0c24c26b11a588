//! The pure part of wasmill: what a row, a field, a watermark and a window are, and the traits through which sources,
//! plugins and sinks meet the engine. No sockets, files, wasmtime, timely or wall clock in here.

pub mod access;
pub mod backlog;
pub mod batch;
pub mod binary;
mod blob;
pub mod checkpoint;
pub mod column;
pub mod config;
pub mod dead_letter;
pub mod error;
pub mod fault;
pub mod field;
mod guarantee;
pub mod guest_ledger;
pub mod key;
mod key_table;
pub mod ledger;
pub mod plugin;
pub mod position;
pub mod process;
pub mod quota;
pub mod sink;
pub mod source;
pub mod time;
pub mod units;
pub mod watermark;
pub mod window;

pub use batch::{Batch, Firing, Lineage, Pane};
pub use binary::Binary;
pub use column::{Cells, Column, Fault, FaultKind};
pub use error::{Error, ErrorKind, Result};
pub use fault::{Cause, GuestFault};
pub use guarantee::Guarantee;
pub use guest_ledger::GuestLedger;
pub use position::{ExtendedSequence, Position, Positions, Sequence, SplitId};
