//! Loads WebAssembly components and calls them behind the traits of `wasmill_stream::plugin`: the only place that knows
//! wasmtime. It grants a guest a log, metrics and, if
//! asked to, an empty WASI. Which step runs which plugin, and what follows from a failed
//! call, is decided by those who use it.

mod account;
mod bindings;
mod cache;
mod compile;
mod component;
mod configured;
mod confined;
mod engine;
mod failure;
mod grants;
mod host;
mod input;
mod instance;
mod kind;
mod limits;
mod log;
mod metrics;
mod needs;
mod output;
mod sandbox;
mod schema;
mod wasi;
mod worker;

pub use cache::Cache;
pub use component::{Compiled, Component, Description};
pub use confined::{Child, Confines, Task};
pub use grants::{Grant, Grants, Requests};
pub use host::Host;
pub use kind::Kind;
pub use limits::Limits;
pub use schema::SettingProblem;
