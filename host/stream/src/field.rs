//! Fields: what a step asks for, and decoding them from JSON once, natively, into typed columns.

pub mod decode;
pub mod spec;

pub use decode::Decoder;
pub use spec::{FieldSpec, FieldType};
