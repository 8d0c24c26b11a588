//! The one error type of the host. Its kind says what the receiver must do, its message names the object concerned.
//! Retry and dead-letter code reads only the kind.

use crate::fault::GuestFault;
use std::error::Error as StdError;
use std::fmt;

/// A result with the host's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the receiver of an error must do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The job file, a plugin or an argument is wrong: tell the user, do not retry.
    Invalid,
    /// The other side does not answer or asks for patience: retry with back-off.
    Unavailable,
    /// A policy or a limit forbids it: tell the user, do not retry.
    Denied,
    /// A plugin failed in a call: throw its instance away.
    Guest(GuestFault),
    /// A part of the host itself broke, such as a thread that panicked: stop, and report it to its makers.
    Internal,
    /// One record is bad: count it as rejected and go on.
    Record,
    /// Stored data is damaged: stop, write nothing.
    Corrupt,
    /// The other end of a channel is gone because the job stops: end quietly.
    Closed,
}

/// An error of the host: a kind, one lower-case sentence fragment that fits after "failed to" or a colon, and its cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// See [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// See [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// See [`ErrorKind::Guest`].
    pub fn guest(fault: GuestFault, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Guest(fault), message)
    }

    /// See [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// See [`ErrorKind::Closed`].
    pub fn closed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Closed, message)
    }

    /// Adds the cause. [`Error::report`] prints it, `Display` does not.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts `context` before the message, so that the outermost object is named first; not twice if it stands there.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        let context = format!("{context}: ");
        if !self.message.starts_with(&context) {
            self.message.insert_str(0, &context);
        }
        self
    }

    /// Adds what the user can do about it.
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.message.push_str(&format!(" ({hint})"));
        self
    }

    /// What the receiver must do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message and every cause below it, on one line.
    pub fn report(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            let line = error.to_string();
            // Many libraries repeat their cause in their own message; say it once.
            if !text.contains(&line) {
                text.push_str(": ");
                text.push_str(&line);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cause that its parent already printed is not printed again, a new one is.
    #[test]
    fn report_names_each_cause_once() {
        let inner = std::io::Error::other("connection refused");
        let error =
            Error::unavailable("put records to trips").with_source(inner).context("sink raw").context("sink raw");
        assert_eq!(error.report(), "sink raw: put records to trips: connection refused");
        let echo = Error::invalid("bad time \"x\"").with_source(Error::invalid("bad time \"x\""));
        assert_eq!(echo.report(), "bad time \"x\"");
    }
}
