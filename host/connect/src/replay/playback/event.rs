//! An event of the input, and what is sent of it.

use super::AdaptTime;
use crate::json_object::{find, with_member};
use bytes::Bytes;
use jiff::Timestamp;
use std::ops::Range;
use std::sync::Arc;
use wasmill_stream::field::{FieldSpec, FieldType};
use wasmill_stream::time::{TimeFormat, iso8601};

/// An event that was read.
#[derive(Debug, Clone)]
pub struct Event {
    /// As it was read.
    pub line: Bytes,
    /// Its partition key.
    pub key: Arc<str>,
    /// Its event time, if anybody wants to know.
    pub time: Option<i64>,
    /// The event time of the stream with it, which waits for no single event from the far future.
    pub clock: Option<i64>,
}

impl Event {
    /// The bytes to send: with another time in its field, and the time of this machine in a further one, if it is wanted.
    pub fn data(&self, field: Option<&FieldSpec>, time: Option<i64>, adapt: AdaptTime, stamp: Option<&str>) -> Bytes {
        let mut data = self.line.clone();
        if let (Some(field), Some(time)) = (field, time.filter(|_| adapt != AdaptTime::Original)) {
            data = with_time(&data, field, time).unwrap_or(data);
        }
        if let Some(name) = stamp {
            data = with_member(&data, name, &iso8601(super::wall_clock())).unwrap_or(data);
        }
        data
    }
}

/// Where the value of a field lies in its line. `None`: it is inside an array.
pub fn place(line: &[u8], field: &FieldSpec) -> Option<Range<usize>> {
    let is_null = |range: &Range<usize>| line.get(range.clone()) == Some(b"null");
    let mut found = field.pointers.iter().filter_map(|names| find(line, names));
    found.find(|range| !is_null(range))
}

/// The line with another time in the field.
fn with_time(line: &[u8], field: &FieldSpec, time: i64) -> Option<Bytes> {
    let FieldType::Time(format) = &field.kind else { return None };
    let range = place(line, field)?;
    let is_text = line.get(range.start) == Some(&b'"');
    let written = written(format, time, is_text)?;
    Some([line.get(..range.start)?, written.as_bytes(), line.get(range.end..)?].concat().into())
}

/// A time as JSON, in the format in which it was read.
fn written(format: &TimeFormat, time: i64, is_text: bool) -> Option<String> {
    let quoted = |text: String| if is_text { serde_json::Value::from(text).to_string() } else { text };
    match format {
        TimeFormat::Iso8601 if is_text => Some(quoted(iso8601(time))),
        TimeFormat::Iso8601 | TimeFormat::UnixMillis => Some(quoted(time.to_string())),
        TimeFormat::UnixSeconds => {
            let (seconds, millis) = (time.div_euclid(1_000), time.rem_euclid(1_000));
            // Of a negative number the fraction would count the other way.
            let fraction = if millis == 0 || seconds < 0 { String::new() } else { format!(".{millis:03}") };
            Some(quoted(format!("{seconds}{fraction}")))
        }
        TimeFormat::Pattern(pattern) => {
            let time = Timestamp::from_millisecond(time).ok()?;
            jiff::fmt::strtime::format(&**pattern, time).ok().map(quoted)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(line: &str, field: &str, adapt: AdaptTime) -> String {
        let event = Event { line: line.to_owned().into(), key: "k".into(), time: Some(0), clock: None };
        let field = field.parse().expect("a field");
        String::from_utf8_lossy(&event.data(Some(&field), Some(1_500), adapt, None)).into_owned()
    }

    /// Another time goes where the old one was, in its format, and nothing else changes; the original stays as it is.
    #[test]
    fn times_are_replaced() {
        let adapted = |line, field| sent(line, field, AdaptTime::Invocation);
        assert_eq!(
            adapted(r#"{ "a": 1, "t": "2013-01-01" }"#, "/t: time"),
            r#"{ "a": 1, "t": "1970-01-01T00:00:01.500Z" }"#
        );
        assert_eq!(adapted(r#"{"t":5}"#, "/t: time"), r#"{"t":1500}"#);
        assert_eq!(adapted(r#"{"x":{"t":5}}"#, "/x/t: time(unix-s)"), r#"{"x":{"t":1.500}}"#);
        assert_eq!(adapted(r#"{"t":null,"u":"5"}"#, "/t|/u: time(unix-ms)"), r#"{"t":null,"u":"1500"}"#);
        assert_eq!(adapted(r#"{"t":"01/02/2013 00:00"}"#, "/t: time(%m/%d/%Y %H:%M)"), r#"{"t":"01/01/1970 00:00"}"#);
        assert_eq!(sent(r#"{"t":5}"#, "/t: time", AdaptTime::Original), r#"{"t":5}"#);
        let is_found = |line: &str, field: &str| place(line.as_bytes(), &field.parse().expect("a field")).is_some();
        assert!(is_found(r#"{"t":5}"#, "/t: time") && !is_found(r#"{"t":[5]}"#, "/t/0: time"));
    }
}
