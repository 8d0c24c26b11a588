//! The `log` import: what a guest says goes to the host's log under the name of its step and plugin, cut to a budget.
//! Guest text is made printable here, wherever it ends up.

use crate::bindings::wasmill::plugin::{log, types};
use crate::limits::Limits;
use crate::sandbox::Identity;

/// The longest line that is logged or quoted in a message.
const MAX_LINE: usize = 2_048;

/// The log of one instance.
pub(crate) struct GuestLog {
    identity: Identity,
    budget: u64,
    left: u64,
    dropped: u64,
    last_error: Option<String>,
}

impl GuestLog {
    pub(crate) fn new(identity: Identity, limits: &Limits) -> Self {
        let budget = limits.log.bytes();
        Self { identity, budget, left: budget, dropped: 0, last_error: None }
    }

    /// Call this before each call into the guest.
    pub(crate) fn open(&mut self) {
        self.left = self.budget;
        self.last_error = None;
    }

    /// Call this after each call into the guest.
    pub(crate) fn close(&mut self) {
        if self.dropped > 0 {
            let (step, plugin) = (self.identity.step.as_deref(), &*self.identity.plugin);
            tracing::warn!(step, plugin, dropped = self.dropped, "the plugin logs more than it may in one call");
            self.dropped = 0;
        }
    }

    /// The last line of level `error` of this call: the message of a panic, if the guest's SDK logs panics.
    pub(crate) fn take_last_error(&mut self) -> Option<String> {
        self.last_error.take()
    }
}

impl log::Host for GuestLog {
    fn log(&mut self, level: log::Level, message: String) {
        if level == log::Level::Error {
            self.last_error = Some(printable(&message));
        }
        let size = message.len() as u64;
        if size > self.left {
            // Also later lines that would fit: a log with holes misleads.
            self.left = 0;
            self.dropped += 1;
            return;
        }
        self.left -= size;
        let (step, plugin) = (self.identity.step.as_deref(), &*self.identity.plugin);
        let message = printable(&message);
        match level {
            log::Level::Debug => tracing::debug!(step, plugin, "{message}"),
            log::Level::Info => tracing::info!(step, plugin, "{message}"),
            log::Level::Warn => tracing::warn!(step, plugin, "{message}"),
            log::Level::Error => tracing::error!(step, plugin, "{message}"),
        }
    }
}

impl types::Host for GuestLog {}

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
    use log::Host;

    /// Escape codes and line breaks of a guest do not reach a terminal, and a long line is cut.
    #[test]
    fn guest_text_is_one_safe_line() {
        assert_eq!(printable(" panicked at lib.rs:3:\nno \u{1b}[2J\n"), "panicked at lib.rs:3: no \\u{1b}[2J");
        assert!(printable(&"ä".repeat(10_000)).len() < MAX_LINE + 8);
    }

    /// A guest that logs more than its budget in one call is cut off, counted, and may log again in the next call; its
    /// last error is kept all the same.
    #[test]
    fn a_flood_is_cut() {
        let limits = Limits { log: wasmill_stream::units::ByteCount::new(10), ..Limits::default() };
        let mut log = GuestLog::new(Identity { step: None, plugin: "plugin".into() }, &limits);
        log.open();
        log.log(log::Level::Info, "12345678".to_owned());
        log.log(log::Level::Error, "123".to_owned());
        log.log(log::Level::Info, "1".to_owned());
        assert_eq!((log.left, log.dropped), (0, 2));
        assert_eq!(log.take_last_error().as_deref(), Some("123"));
        log.close();
        log.open();
        assert_eq!((log.left, log.dropped), (10, 0));
    }
}
