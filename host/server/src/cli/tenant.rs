//! `wasmill tenant`, hidden: how a host starts itself again as the process of one tenant. See `serve/process.rs`.

use super::drive::runtime;
use crate::serve;
use std::process::ExitCode;

/// Does it.
pub fn run() -> ExitCode {
    serve::inside(runtime)
}
