//! A row as a case writes it: `{"time": "2024-05-01T10:00:00Z", "key": "cart", "value": {"status": 200}}`.

use super::json;
use serde_json::Value;
use wasmill_stream::dead_letter::Payload;
use wasmill_stream::time::{TimeFormat, iso8601};

/// A row that goes in, is expected, or has come out. In an expected row, what is left out may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Its event time, ms.
    pub time: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

impl Row {
    /// Reads `{"time": …, "key": …, "value": …}`. A value that is not JSON is written `"text": "…"`, or `"base64":
    /// "…"`.
    pub fn read(members: &[(String, &str)]) -> Result<Self, String> {
        let mut row = Self::default();
        for (name, text) in members {
            let twice = || format!("a row has one value, found `{name}` besides another");
            match name.as_str() {
                "time" => row.time = Some(read_time(text)?),
                "key" => row.key = Some(read_bytes("key", text)?),
                "value" | "text" | "base64" if row.value.is_some() => return Err(twice()),
                "value" => row.value = Some(text.as_bytes().to_vec()),
                "text" => row.value = Some(read_text("text", text)?.into_bytes()),
                "base64" => row.value = Some(read_bytes("base64", &format!("{{\"base64\": {text}}}"))?),
                other => return Err(format!("a row has `time`, `key` and `value`, found `{other}`")),
            }
        }
        Ok(row)
    }

    /// The row as a case writes it, on one line.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.time.map(|time| format!("\"time\": \"{}\"", iso8601(time))));
        parts.extend(self.key.as_ref().map(|key| format!("\"key\": {}", bytes_text(key))));
        parts.extend(self.value.as_ref().map(|value| value_text(value)));
        format!("{{{}}}", parts.join(", "))
    }

    /// Where the row is not as this one expects it.
    pub fn differences(&self, found: &Self) -> Vec<json::Difference> {
        let member = |path: &str, expected: Option<Value>, found: Option<Value>| {
            (expected.is_some() && expected != found).then(|| json::Difference {
                path: path.to_owned(),
                expected,
                found,
            })
        };
        let time = |row: &Self| row.time.map(|time| Value::from(iso8601(time)));
        let key = |row: &Self| row.key.as_deref().map(shown);
        let mut differences = Vec::new();
        differences.extend(member("time", time(self), time(found)));
        differences.extend(member("key", key(self), key(found)));
        let Some(expected) = self.value.as_deref() else { return differences };
        let found = found.value.as_deref().unwrap_or_default();
        match (serde_json::from_slice(expected), serde_json::from_slice(found)) {
            (Ok(expected), Ok(found)) => {
                differences.extend(json::differences(&expected, &found).into_iter().map(|mut difference| {
                    let dot = if difference.path.is_empty() { "" } else { "." };
                    difference.path = format!("value{dot}{}", difference.path);
                    difference
                }));
            }
            _ => differences.extend(member("value", Some(shown(expected)), Some(shown(found)))),
        }
        differences
    }
}

/// Reads an instant: a text such as `2024-05-01T10:00:00Z`, or milliseconds since 1970.
pub fn read_time(text: &str) -> Result<i64, String> {
    let time = match serde_json::from_str(text) {
        Ok(Value::String(text)) => TimeFormat::Iso8601.parse(text.as_bytes()),
        Ok(Value::Number(_)) => TimeFormat::UnixMillis.parse_number(text.as_bytes()),
        _ => None,
    };
    time.ok_or_else(|| format!("expected a time such as \"2024-05-01T10:00:00Z\", found {text}"))
}

/// Reads bytes: a text, or `{"base64": "…"}`.
pub fn read_bytes(name: &str, text: &str) -> Result<Vec<u8>, String> {
    let payload = serde_json::from_str::<Payload>(text).ok();
    let bytes = payload.as_ref().and_then(|payload| payload.bytes().map(|bytes| bytes.into_owned()));
    bytes.ok_or_else(|| format!("`{name}`: expected a text, or {{\"base64\": \"…\"}}, found {text}"))
}

/// Reads a text.
pub fn read_text(name: &str, text: &str) -> Result<String, String> {
    serde_json::from_str(text).map_err(|_| format!("`{name}`: expected a text, found {text}"))
}

/// Bytes as [`read_bytes`] reads them.
pub fn bytes_text(bytes: &[u8]) -> String {
    shown(bytes).to_string()
}

/// Text, or base64 if nobody could read it: states are numbers more often than text, and may be UTF-8 by chance.
fn shown(bytes: &[u8]) -> Value {
    let is_readable = |text: &str| text.chars().all(|letter| !letter.is_control() || letter == '\n' || letter == '\t');
    match std::str::from_utf8(bytes).ok().filter(|text| is_readable(text)) {
        Some(text) => Value::from(text),
        None => serde_json::json!({"base64": base64_simd::STANDARD.encode_to_string(bytes)}),
    }
}

/// The value as a member: JSON as the plugin wrote it, unless that is more than one line.
fn value_text(value: &[u8]) -> String {
    let text = std::str::from_utf8(value).ok();
    match (serde_json::from_slice::<Value>(value), text) {
        (Ok(parsed), Some(text)) => {
            let line = if text.contains('\n') { parsed.to_string() } else { text.trim().to_owned() };
            format!("\"value\": {line}")
        }
        _ => match shown(value) {
            Value::String(text) => format!("\"text\": {}", Value::from(text)),
            other => format!("\"base64\": {}", other["base64"]),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Row, String> {
        Row::read(&json::members(text)?)
    }

    /// What is read is written the same way: JSON with its own order and digits, text, and bytes that are neither.
    #[test]
    fn rows_read_as_written() {
        for text in [
            r#"{"time": "2024-05-01T10:00:00.000Z", "key": "cart", "value": {"z": 1.50, "a": [1]}}"#,
            r#"{"time": "1970-01-01T00:00:00.000Z", "text": "a;b"}"#,
            r#"{"key": {"base64":"/wA="}, "base64": "/wA="}"#,
            r#"{"key": "a\n\tä", "base64": "AwA="}"#,
            "{}",
        ] {
            assert_eq!(read(text).map(|row| row.text()), Ok(text.to_owned()));
        }
        assert_eq!(read(r#"{"time": 1000}"#).map(|row| row.time), Ok(Some(1000)));
    }

    /// Each mistake names the member and what was expected.
    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            (r#"{"time": "noon"}"#, "expected a time such as \"2024-05-01T10:00:00Z\", found \"noon\""),
            (r#"{"key": 7}"#, "`key`: expected a text, or {\"base64\": \"…\"}, found 7"),
            (r#"{"base64": "?"}"#, "`base64`: expected"),
            (r#"{"value": 1, "text": "1"}"#, "a row has one value, found `text` besides another"),
            (r#"{"valu": 1}"#, "a row has `time`, `key` and `value`, found `valu`"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.starts_with(expected), "{error}");
        }
    }

    /// What an expected row leaves out may be anything; the rest is compared, values member by member.
    #[test]
    fn only_what_is_expected_is_compared() {
        let paths = |expected: &str, found: &str| -> Vec<String> {
            let (expected, found) = (read(expected).expect(expected), read(found).expect(found));
            expected.differences(&found).into_iter().map(|difference| difference.path).collect()
        };
        let found = r#"{"time": 5, "key": "k", "value": {"a": 1, "b": 2}}"#;
        assert!(paths("{}", found).is_empty());
        assert!(paths(r#"{"value": {"b": 2, "a": 1.0}}"#, found).is_empty());
        let all = paths(r#"{"time": 6, "key": "l", "value": {"a": 2, "c": 3}}"#, found);
        assert_eq!(all, ["time", "key", "value.a", "value.c", "value.b"]);
        assert_eq!(paths(r#"{"text": "x"}"#, found), ["value"]);
        assert_eq!(paths(r#"{"key": "k"}"#, "{}"), ["key"]);
    }
}
