//! What a call that did not return was: the class that retry code reads, and words for the author of the plugin.

use crate::bindings::wasmill::plugin::types;
use crate::limits::Limits;
use crate::log::printable;
use crate::sandbox::State;
use crate::wasi;
use wasmill_stream::GuestFault;
use wasmill_stream::units::{ByteCount, Period};
use wasmtime::Trap;

/// A failed call: its class, and words that follow the name of the function.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) fault: GuestFault,
    pub(crate) words: String,
}

impl Failure {
    /// An answer that breaks the contract.
    pub(crate) fn contract(words: impl Into<String>) -> Self {
        Self { fault: GuestFault::Contract, words: format!("broke the contract: {}", words.into()) }
    }

    /// An answer that is too large.
    pub(crate) fn output(words: impl Into<String>) -> Self {
        Self { fault: GuestFault::Output, words: words.into() }
    }
}

impl From<types::Failure> for Failure {
    fn from(told: types::Failure) -> Self {
        match told {
            types::Failure::Retry(words) => {
                Self { fault: GuestFault::Retry, words: format!("asks to be called again: {}", printable(&words)) }
            }
            types::Failure::Fatal(words) => {
                Self { fault: GuestFault::Fatal, words: format!("cannot work: {}", printable(&words)) }
            }
        }
    }
}

/// What a call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// CPU time.
    pub(crate) cpu: Period,
    /// Bytes that the guest may hand over.
    pub(crate) output: ByteCount,
}

/// Classifies the error of a call.
pub(crate) fn classify(error: &wasmtime::Error, state: &mut State, limits: &Limits, allowance: Allowance) -> Failure {
    let cause = error.root_cause().to_string();
    let (mut fault, mut words) = match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => {
            (GuestFault::Deadline, format!("was stopped after {} of CPU time, the limit for this call", allowance.cpu))
        }
        Some(_) => (GuestFault::Trap, format!("trapped: {}", cause.trim_start_matches("wasm trap: "))),
        None if error.is::<wasi::Stopped>() => (GuestFault::Trap, format!("was stopped: {cause}")),
        // wasmtime keeps the types of these errors to itself; tests hold the words.
        None if cause.contains("fuel allocated for hostcalls") => {
            (GuestFault::Output, format!("returned more than {}, the limit for this call", allowance.output))
        }
        None if cause.contains("resource limit exceeded") || cause.contains("minimum size of") => {
            (GuestFault::Memory, format!("was refused: {cause}"))
        }
        None => (GuestFault::Contract, format!("broke the contract: {cause}")),
    };
    if let Some(refusal) = state.meter.take_refusal()
        // A guest that was stopped for something else may have made do with the memory it had.
        && !matches!(fault, GuestFault::Deadline | GuestFault::Output)
    {
        fault = GuestFault::Memory;
        words.push_str(&format!(" after it was refused {}", refusal.words(limits)));
    }
    if let Some(line) = state.log.take_last_error() {
        words.push_str(&format!("; the last error it logged: {line}"));
    }
    Failure { fault, words }
}
