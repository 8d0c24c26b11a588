//! Runs a job as one timely computation: workers, epochs, exchange by key, back-pressure, clean stop.
//! It sees sources, sinks and plugins only through the traits of `wasmill-stream`.

pub mod graph;
pub mod run;

pub use graph::{Graph, Input, Node, NodeKind, Port};
pub use run::{Options, Running, start};
