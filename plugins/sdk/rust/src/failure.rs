//! What can go wrong in a plugin without a panic: a row is refused, or the whole call has failed.

use crate::Reject;
use std::fmt::Display;

/// Why a call has failed as a whole, in words for people. A text becomes [`Failure::Fatal`] by `?` or `into`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may succeed if it is called again. The host does so a few times, on a fresh instance, after a pause; then it looks
    /// for the rows that make it fail.
    Retry(String),
    /// The plugin cannot work, whatever the rows. The job stops.
    Fatal(String),
}

impl Failure {
    /// A failure that may pass.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry(reason.into())
    }

    /// A failure that stops the job.
    pub fn fatal(reason: impl Into<String>) -> Self {
        Self::Fatal(reason.into())
    }
}

// No `Display`: it would make `?` turn a failure into a refusal of the row, like any other error.

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Fatal(reason)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Self::fatal(reason)
    }
}

impl From<Failure> for crate::bindings::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry(reason) => Self::Retry(reason),
            Failure::Fatal(reason) => Self::Fatal(reason),
        }
    }
}

/// What may go wrong with a row or a result: it is refused, or the whole call has failed. `?` turns a [`Failure`] into a
/// failure, and any other error, or a text, into a refusal.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The row, or the accumulator, is refused; the others go on.
    Reject(Reject),
    /// The call has failed.
    Failure(Failure),
}

impl From<Reject> for Fault {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl<E: Display> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Reject(Reject::new(error.to_string()))
    }
}
