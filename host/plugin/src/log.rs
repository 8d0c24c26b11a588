//! The `log` import: what a guest says goes to the host's log under the name of its step and plugin, cut to a budget.
//! Guest text is made printable here, wherever it ends up.

use crate::account::{Account, Subject};
use crate::bindings::wasmill::plugin::log::{Host, Level};
use crate::bindings::wasmill::plugin::types;
use crate::sandbox::State;
use std::sync::Arc;
use std::time::Instant;

/// The longest line that is logged or quoted in a message.
const MAX_LINE: usize = 2_048;
/// What stands around a line in a log, in bytes: when, how bad, whose, and the digest of a component. An empty line costs as well.
const AROUND: u64 = 200;

/// The log of one instance.
pub(crate) struct GuestLog {
    account: Arc<Account>,
    last_error: Option<String>,
}

impl GuestLog {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self { account, last_error: None }
    }

    /// Call this before each call into the guest: what it said before is not the reason for what happens now.
    pub(crate) fn forget(&mut self) {
        self.last_error = None;
    }

    /// The last line of level `error` of this call: the message of a panic, if the guest's SDK logs panics.
    pub(crate) fn take_last_error(&mut self) -> Option<String> {
        self.last_error.take()
    }

    /// Logs a line of the guest.
    pub(crate) fn line(&mut self, level: Level, message: &str) {
        // The line as it is written, so that a flood of control characters does not become a larger one.
        let message = printable(message);
        if level == Level::Error {
            self.last_error = Some(message.clone());
        }
        let Subject { step, plugin, sha256 } = &self.account.subject;
        let (step, plugin, sha256) = (step.as_deref(), &**plugin, sha256.as_deref());
        let (size, now) = (message.len() as u64 + AROUND, Instant::now());
        let Some(dropped) = self.account.log.take(size, now) else { return };
        if self.account.quota.as_ref().is_some_and(|quota| !quota.log.try_spend(size, now)) {
            return;
        }
        if dropped > 0 {
            tracing::warn!(step, plugin, sha256, dropped, "the plugin logs more than it may; lines are missing here");
        }
        match level {
            Level::Debug => tracing::debug!(step, plugin, sha256, "{message}"),
            Level::Info => tracing::info!(step, plugin, sha256, "{message}"),
            Level::Warn => tracing::warn!(step, plugin, sha256, "{message}"),
            Level::Error => tracing::error!(step, plugin, sha256, "{message}"),
        }
    }

    /// Logs one line of an error that has several; together they are the last error.
    pub(crate) fn error_line(&mut self, message: &str) {
        let before = self.last_error.take();
        self.line(Level::Error, message);
        if let (Some(before), Some(last)) = (before, &self.last_error) {
            self.last_error = Some(printable(&format!("{before} {last}")));
        }
    }

    /// Logs a warning of the host about the guest, from the same budget.
    pub(crate) fn warn(&mut self, message: &str) {
        self.line(Level::Warn, message);
    }
}

impl Host for State {
    fn log(&mut self, level: Level, message: String) {
        self.log.line(level, &message);
    }
}

impl types::Host for State {}

/// A guest's text on one line: cut to a sane length, line breaks as spaces, other control characters as escapes, so
/// that it cannot forge log lines or steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(MAX_LINE));
    for c in text.trim().chars() {
        if line.len() >= MAX_LINE {
            line.push('…');
            break;
        }
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use wasmill_stream::units::ByteCount;

    /// Escape codes and line breaks of a guest do not reach a terminal, and a long line is cut.
    #[test]
    fn guest_text_is_one_safe_line() {
        assert_eq!(printable(" panicked at lib.rs:3:\nno \u{1b}[2J\n"), "panicked at lib.rs:3: no \\u{1b}[2J");
        assert!(printable(&"ä".repeat(10_000)).len() < MAX_LINE + 8);
    }

    /// The last error of a call is kept also when the budget of the step is used up, and forgotten with the next call.
    #[test]
    fn the_last_error_is_kept() {
        let limits = Limits { log: ByteCount::new(1), ..Limits::default() };
        let account = Account::new(Subject { step: None, plugin: "plugin".into(), sha256: None }, &limits, None);
        let mut log = GuestLog::new(Arc::new(account));
        log.line(Level::Error, "123");
        log.line(Level::Info, "4");
        assert_eq!(log.take_last_error().as_deref(), Some("123"));
        log.line(Level::Error, "123");
        log.forget();
        assert_eq!(log.take_last_error(), None);
    }
}
