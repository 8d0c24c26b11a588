//! End-to-end tests: whole jobs with real plugins, in this process or as the real program. One file per theme; what one
//! part does by itself is tested beside its code.

mod harness;
mod oracle;

/// Writing a plugin, and repairing one.
mod author;
/// Bad records, components and endpoints.
mod bad_input;
/// One plugin in several languages.
mod conformance;
/// Hostile plugins and dead letters.
mod faults;
/// Hostile aggregators and processes.
mod keyed_faults;
/// The example from Kinesis.
mod kinesis;
/// Results in OpenSearch.
mod opensearch;
/// Keyed state, timers, the order of event time.
mod process;
/// The program on the command line.
mod program;
/// An archive and results in S3.
mod s3;
/// The example from files and from the generator.
mod taxi;
/// Hostile components from WebAssembly text.
mod text_guests;
/// A component that imports WASI.
mod wasi;
/// Markers, silent splits.
mod watermark;
/// Sliding and session windows, late rows.
mod windows;
