//! What sinks have in common that send rows in requests: how many are on their way, in which order, and what becomes of each row.
//! A sink says what a row becomes and how a request is sent; `outbox` fills requests, `delivery` brings them to their fate.

pub mod admission;
pub mod delivery;
pub mod flights;
mod outbox;
pub mod pace;
pub mod permits;
mod settings;
mod writer;

pub use delivery::{Answer, Entry, Fate, Service};
pub use outbox::{Outbox, Repeats};
pub use settings::{RequestSettings, Size};
pub use writer::{Made, RowWriter, Rows};
