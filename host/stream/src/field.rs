//! Fields: what a step asks for, and decoding them from JSON once, natively, into typed columns.

mod column;
pub mod decode;
mod number;
mod pointer;
mod record;
mod refusal;
mod scan;
mod shape;
pub mod spec;
mod text;

pub use decode::Decoder;
pub use refusal::undecodable;
pub use spec::{FieldSpec, FieldType};
