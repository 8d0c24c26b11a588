//! A letter as it is shown: every member with a name, bytes as text or as a hex dump.

use super::digest::one_line;
use super::reader::Letter;
use std::borrow::Cow;
use std::fmt;
use wasmill_stream::dead_letter::Payload;

/// Bytes in a line of a hex dump.
const ROW: usize = 16;

/// A letter, to be printed.
pub struct Leaf<'a>(pub &'a Letter);

impl fmt::Display for Leaf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Letter { file, line, letter } = self.0;
        writeln!(f, "--- {}:{line}", file.display())?;
        let plugin = letter
            .plugin
            .as_ref()
            .map(|plugin| format!("{} {}, sha256 {}", plugin.name, plugin.version, plugin.digest));
        let position = letter.position.as_deref().unwrap_or("?");
        let read = letter.split.as_ref().map(|split| format!("{split}, record {position}"));
        let window = letter.window_start.as_ref().zip(letter.window_end.as_ref());
        let window = window.map(|(start, end)| format!("{start} to before {end}"));
        let lines = [
            ("cause", Some(letter.cause.clone())),
            ("reason", Some(letter.reason.clone())),
            ("step", Some(letter.step.clone())),
            ("plugin", plugin),
            ("died at", Some(letter.at.clone())),
            ("read from", read),
            ("event time", letter.event_time.clone()),
            ("window", window),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                writeln!(f, "{name:12}{}", indented(&value))?;
            }
        }
        payload(f, "key", letter.key.as_ref())?;
        payload(f, "record", letter.record.as_ref())?;
        payload(f, "value", letter.value.as_ref())?;
        letter.accumulator.iter().chain(&letter.accumulators).try_for_each(|one| payload(f, "accumulator", Some(one)))
    }
}

fn payload(f: &mut fmt::Formatter<'_>, name: &str, payload: Option<&Payload>) -> fmt::Result {
    let Some(payload) = payload else { return Ok(()) };
    match (payload, payload.bytes()) {
        (Payload::Text(text), _) => writeln!(f, "{name:12}{}", indented(text)),
        (Payload::Binary { .. }, Some(bytes)) => {
            writeln!(f, "{name:12}{} bytes", bytes.len())?;
            dump(f, &bytes)
        }
        (Payload::Binary { base64 }, None) => writeln!(f, "{name:12}not base64: {}", one_line(base64)),
    }
}

/// Text of several lines, each below the other, and nothing that a terminal obeys.
fn indented(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.lines().map(|line| Cow::Owned(one_line(line))).collect();
    lines.join("\n            ")
}

fn dump(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for (row, bytes) in bytes.chunks(ROW).enumerate() {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        let text: String = bytes.iter().map(|&byte| if is_visible(byte) { char::from(byte) } else { '.' }).collect();
        writeln!(f, "  {:08x}  {:width$}  {text}", row * ROW, hex.join(" "), width = ROW * 3 - 1)?;
    }
    Ok(())
}
