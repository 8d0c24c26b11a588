//! Standard output and error: lines for the log of the plugin.

use crate::bindings::wasmill::plugin::log::Level;
use crate::log::GuestLog;

/// The handles of the three streams.
pub(super) const STDIN: u32 = 0;
pub(super) const STDOUT: u32 = 1;
pub(super) const STDERR: u32 = 2;

/// A line that has not ended after so many bytes is logged in parts.
const MAX_LINE: usize = 2_048;

/// What was written and has not become a line yet.
#[derive(Default)]
pub(crate) struct Streams {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Streams {
    /// Logs every line that is complete.
    pub(super) fn write(&mut self, stream: u32, bytes: &[u8], log: &mut GuestLog) {
        let (pending, level) = match stream {
            STDOUT => (&mut self.stdout, Level::Info),
            STDERR => (&mut self.stderr, Level::Error),
            _ => return,
        };
        for &byte in bytes {
            if byte != b'\n' {
                pending.push(byte);
            }
            if byte == b'\n' || pending.len() >= MAX_LINE {
                line(pending, level, log);
            }
        }
    }

    /// Logs what has no end yet: the call is over.
    pub(crate) fn flush(&mut self, log: &mut GuestLog) {
        line(&mut self.stdout, Level::Info, log);
        line(&mut self.stderr, Level::Error, log);
    }
}

fn line(pending: &mut Vec<u8>, level: Level, log: &mut GuestLog) {
    let text = String::from_utf8_lossy(pending);
    match (text.trim().is_empty(), level) {
        (true, _) => {}
        // A panic or a traceback has many lines, of which which is the reason depends on the language.
        (false, Level::Error) => log.error_line(&text),
        (false, _) => log.line(level, &text),
    }
    pending.clear();
}
