//! Dead letters after the fact: reading the files that the sink `[dead_letter]` of a job has written, counting what is
//! in them, showing one, and sending the records once more through a job. What a letter is, is said in
//! `wasmill_stream`.

mod digest;
mod filter;
mod leaf;
mod reader;
mod replay;
mod witness;

pub use digest::Digest;
pub use filter::{Filter, Since};
pub use leaf::Leaf;
pub use reader::{Letter, files, for_each};
pub use replay::{Concerns, Replay};
pub use witness::Witness;

#[cfg(test)]
pub(crate) mod tests;
