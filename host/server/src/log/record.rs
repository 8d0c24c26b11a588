//! An event as it is written: when, how grave, from where, what, and what belongs to it.

use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use wasmill_stream::time::iso8601;

/// What belongs to a span, in the order in which it was said.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(&'static str, Value)>);

/// An event.
#[derive(Debug)]
pub struct Record {
    /// By the clock on the wall, RFC 3339.
    pub at: String,
    /// How grave it is.
    pub level: Level,
    /// The module that it comes from.
    pub target: Cow<'static, str>,
    /// What has happened.
    pub message: String,
    /// What belongs to it: its own fields, then those of the spans around it, the innermost first. Each name once.
    pub fields: Vec<(Cow<'static, str>, Value)>,
}

impl Fields {
    /// Those of a span.
    pub fn of(attributes: &Attributes<'_>) -> Self {
        let mut collector = Collector::default();
        attributes.record(&mut collector);
        Self(collector.fields)
    }

    /// One of them, if it is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.as_str())
    }
}

impl Record {
    /// An event with what the spans around it have in their `Fields`.
    pub fn of<S: Subscriber + for<'l> LookupSpan<'l>>(event: &Event<'_>, context: &Context<'_, S>) -> Self {
        let mut collector = Collector::default();
        event.record(&mut collector);
        let Collector { message, fields } = collector;
        let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Fields(outer)) = span.extensions().get::<Fields>() {
                for (name, value) in outer {
                    if fields.iter().all(|(known, _)| known != name) {
                        fields.push((Cow::Borrowed(*name), value.clone()));
                    }
                }
            }
        }
        let metadata = event.metadata();
        Self { at: now(), level: *metadata.level(), target: metadata.target().into(), message, fields }
    }

    /// One that another process has written as [`Record::json`], with nothing in it that could be taken for another event.
    pub fn read(line: &str) -> Option<Self> {
        let Value::Object(mut object) = serde_json::from_str(line).ok()? else { return None };
        let mut text = |name: &str| match object.remove(name) {
            Some(Value::String(text)) => Some(text.replace('\n', "\n    ")),
            _ => None,
        };
        let (at, level, target, message) = (text("at")?, text("level")?, text("target")?, text("message")?);
        let is_time = at.len() <= 40 && at.chars().all(|c| c.is_ascii_alphanumeric() || "-:.+".contains(c));
        let fields = object.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect();
        is_time.then_some(Self { at, level: level.parse().ok()?, target: target.into(), message, fields })
    }

    /// Something that was said now, and was no event.
    pub fn note(message: &str) -> Self {
        let message = message.replace('\n', "\n    ");
        Self { at: now(), level: Level::ERROR, target: super::NOTE.into(), message, fields: Vec::new() }
    }

    /// Says of it, whatever it says itself.
    pub fn set(&mut self, name: &'static str, value: Value) {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.into(), value));
    }

    /// As a JSON object on one line.
    pub fn json(&self) -> String {
        let mut object = Map::new();
        let level = self.level.as_str().to_ascii_lowercase();
        for (name, text) in [("at", &*self.at), ("level", &level), ("target", &self.target), ("message", &self.message)]
        {
            object.insert(name.to_owned(), text.into());
        }
        for (name, value) in &self.fields {
            object.entry(name.as_ref()).or_insert_with(|| value.clone());
        }
        Value::Object(object).to_string()
    }

    /// As text for people. Only what wasmill itself says may have several lines.
    pub fn text(&self, coloured: bool) -> String {
        let (before, after) = match (coloured, self.level) {
            (false, _) => ("", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (true, _) => ("\x1b[2m", "\x1b[0m"),
        };
        let mut text = format!("{} {before}{:>5}{after} ", self.at, self.level.as_str());
        if self.target != super::NOTE {
            text.push_str(&format!("{}: ", self.target));
        }
        text.push_str(&self.message);
        for (name, value) in &self.fields {
            match value {
                Value::String(value) if value.contains(char::is_whitespace) => {
                    text.push_str(&format!(" {name}={value:?}"))
                }
                Value::String(value) => text.push_str(&format!(" {name}={value}")),
                value => text.push_str(&format!(" {name}={value}")),
            }
        }
        text.push('\n');
        text
    }
}

fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    iso8601(now)
}

/// Gathers the fields of an event or a span.
#[derive(Default)]
struct Collector {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Collector {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Collector {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(message: &str) -> Record {
        Record {
            at: "2026-01-01T00:00:00.000Z".to_owned(),
            level: Level::WARN,
            target: "wasmill_plugin::log".into(),
            message: message.to_owned(),
            fields: [("step", "averages".into()), ("rows", 7.into()), ("why", "no fare".into())]
                .map(|(name, value)| (Cow::Borrowed(name), value))
                .to_vec(),
        }
    }

    /// Text shows what people look for; JSON has the same under names, one object a line, whatever is in it.
    #[test]
    fn as_text_and_as_json() {
        let text = record("slow").text(false);
        assert_eq!(
            text,
            "2026-01-01T00:00:00.000Z  WARN wasmill_plugin::log: slow step=averages rows=7 why=\"no fare\"\n"
        );
        let json: Value = serde_json::from_str(&record("two\nlines \u{1b}[2J").json()).expect("JSON");
        assert_eq!(json["message"], "two\nlines \u{1b}[2J");
        assert_eq!((&json["level"], &json["rows"], &json["step"]), (&json!("warn"), &json!(7), &json!("averages")));
        assert!(!record("two\nlines").json().contains('\n'));
    }

    /// What another process says → the same, under the name that it is given, and nothing that looks like a second event; what is
    /// no event → none.
    #[test]
    fn of_another_process() {
        let mut read = Record::read(&record("one\n2026 ERROR two").json()).expect("an event");
        read.set("step", "mine".into());
        assert_eq!(read.text(false).lines().count(), 2);
        assert!(read.text(false).lines().nth(1).is_some_and(|line| line.starts_with("    2026")), "{read:?}");
        let json: Value = serde_json::from_str(&read.json()).expect("JSON");
        assert_eq!((&json["step"], &json["rows"], &json["level"]), (&json!("mine"), &json!(7), &json!("warn")));
        let forged = record("x").json().replace("2026-01-01T00:00:00.000Z", "2026 x");
        for none in ["", "null", "{}", "{\"at\": 1}", &forged] {
            assert!(Record::read(none).is_none(), "{none}");
        }
    }
}
