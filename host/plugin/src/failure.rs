//! Words for a call that did not return: what wasmtime's error means to the author of the plugin.

use crate::limits::Limits;
use crate::sandbox::State;
use wasmill_stream::units::Period;
use wasmtime::Trap;

/// What happened, to follow the name of the function.
pub(crate) fn words(error: &wasmtime::Error, state: &mut State, limits: &Limits, period: Period) -> String {
    let cause = error.root_cause().to_string();
    let mut words = match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => format!("was stopped after {period}, the limit for this call"),
        Some(_) => format!("trapped: {}", cause.trim_start_matches("wasm trap: ")),
        // wasmtime keeps the type of this error to itself; a test holds the words.
        None if cause.contains("fuel allocated for hostcalls") => {
            format!("returned more than {}, the limit for one call", limits.output)
        }
        None => format!("failed: {cause}"),
    };
    if state.meter.take_refused() {
        words.push_str(&format!(" after it was refused more memory than its limit of {}", limits.memory));
    }
    if let Some(line) = state.log.take_last_error() {
        words.push_str(&format!("; the last error it logged: {line}"));
    }
    words
}
