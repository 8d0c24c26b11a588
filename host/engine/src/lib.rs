//! Runs a job as one timely computation: workers, epochs, exchange by key, back-pressure, clean stop.
//! It sees sources, sinks and plugins only through the traits of `wasmill-stream`.
//!
//! Timely's timestamp is an *epoch*: a slice of wall-clock time that all sources close together. Sources stamp what they
//! read with the open epoch and announce their watermark when they close it; stateful steps apply epochs strictly in order.

pub mod graph;
pub mod run;

mod admit;
mod candidate;
mod checkpoint;
mod discards;
mod epoch;
mod isolate;
mod lookout;
mod operator;
mod parcel;
mod pauses;
mod plan;
mod progress;
mod stall;
mod swap;
mod throttle;
mod usage;
mod verdict;
mod wake;
mod worker;
mod writer;

pub use candidate::{Bounds, Candidacy, Cost, Difference, Mode, Report};
pub use checkpoint::{
    COMPONENTS, Checkpoints, Declared, Fence, Journal, Known, Pruned, Published, ResumedFrom, RewindPoints, Status,
    fits,
};
pub use graph::{
    ARCHIVE, DEAD_LETTERS, DeadLetters, Graph, Input, Node, NodeKind, Port, Refusable, SinkTerms, Successor, Tolerance,
};
pub use lookout::{Lookouts, SampledRow, Told, Watched};
pub use run::{Options, Running, Stopper, start};
pub use stall::Stall;
pub use swap::{Migration, Swapped, Swapper};
