//! The operators that a worker builds, one file per kind of node. Each file holds the step's logic on batches and, at its
//! end, the timely operator around it.

pub mod aggregate;
mod alarm;
pub mod at_work;
mod epochs;
mod exits;
pub mod intake;
mod output;
pub mod process;
pub mod sink;
pub mod source;
pub mod transform;
mod work;
mod worn;

use crate::parcel::Parcel;
use timely::dataflow::Stream;

/// The timestamp of the dataflow: the epoch.
pub type Epoch = u64;

/// An edge of the dataflow.
pub type Rows<'scope> = Stream<'scope, Epoch, Parcel>;
