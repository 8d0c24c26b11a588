//! The `wasmill` program as a library: job files, plugin builds, and running jobs in this process. `main.rs` only calls
//! [`cli`]; the end-to-end tests use the rest.

pub mod build;
mod checkpoints;
pub mod cli;
mod client;
pub mod confinement;
pub mod control;
pub mod dead_letters;
mod digest;
mod driver;
pub mod explain;
pub mod inspection;
pub mod job;
pub mod live;
pub mod log;
pub mod pins;
pub mod progress;
pub mod report;
pub mod run;
pub mod scaffold;
pub mod serve;
mod shutdown;
pub mod summary;
pub mod terminal;
pub mod trial;
mod watch;
mod workshop;
