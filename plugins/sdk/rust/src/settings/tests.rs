use super::*;
use crate::{Settings, Time};
use std::time::Duration;

#[derive(Settings, Debug, PartialEq)]
struct Limits {
    /// The least
    /// of "all".
    #[setting(minimum = 1)]
    least: u64,
    #[setting(default = -0.5, maximum = 0.5)]
    factor: f64,
    #[setting(default = "1h")]
    idle: Duration,
    r#type: Option<Kind>,
    nested: Option<Nested>,
    #[setting(maximum = 9, default = [])]
    levels: Vec<i8>,
    #[setting(default = {})]
    inner: Inner,
}

#[derive(Settings, Debug, PartialEq)]
struct Inner {
    #[setting(default = "a \"b\" \\")]
    text: String,
}

#[derive(Settings, Debug, PartialEq)]
enum Kind {
    Plain,
    OutOfRange,
}

#[derive(Settings, Debug, PartialEq)]
struct Nested {
    field: Pointer,
    #[setting(default = true)]
    on: bool,
}

fn limits(least: u64) -> Limits {
    Limits {
        least,
        factor: -0.5,
        idle: Duration::from_secs(3600),
        r#type: None,
        nested: None,
        levels: Vec::new(),
        inner: inner("a \"b\" \\"),
    }
}

fn inner(text: &str) -> Inner {
    Inner { text: text.to_owned() }
}

/// What is set is read, whatever the type; what is not has its default.
#[test]
fn settings_are_read() {
    assert_eq!(parse(r#"{"least":3}"#), Ok(limits(3)));
    let all = r#"{"least":2.0,"factor":0,"idle":"250ms","type":"out-of-range","nested":{"field":"/a","on":false},
        "levels":[1,-2],"inner":{"text":""}}"#;
    let expected = Limits {
        factor: 0.0,
        idle: Duration::from_millis(250),
        r#type: Some(Kind::OutOfRange),
        nested: Some(Nested { field: Pointer("/a".into()), on: false }),
        levels: vec![1, -2],
        inner: inner(""),
        ..limits(2)
    };
    assert_eq!(parse(all), Ok(expected));
    assert!(parse::<NoSettings>("{}").is_ok());
}

/// A wrong, a missing and an unknown setting are each named, with what was expected.
#[test]
fn errors_name_the_setting() {
    let cases = [
        (r#"{}"#, r#"setting "least" is missing"#),
        (r#"{"least":0}"#, r#"setting "least": expected an integer of at least 1, found 0"#),
        (r#"{"least":1.5}"#, r#"setting "least": expected an integer of at least 1, found 1.5"#),
        (r#"{"least":"3"}"#, r#"setting "least": expected an integer of at least 1, found "3""#),
        (r#"{"least":3,"factor":1}"#, r#"setting "factor": expected a number of at most 0.5, found 1"#),
        (r#"{"least":3,"levels":[0,10]}"#, r#"setting "levels.1": expected an integer from -128 to 9, found 10"#),
        (r#"{"least":3,"type":"x"}"#, r#"setting "type": expected one of plain, out-of-range, found "x""#),
        (r#"{"least":3,"nested":{}}"#, r#"setting "nested.field" is missing"#),
        (r#"{"least":3,"nested":{"x":1}}"#, r#"unknown setting "nested.x", expected field or on"#),
        (r#"{"lest":3}"#, r#"unknown setting "lest", expected least, factor, idle, type, nested, levels or inner"#),
        (r#"[]"#, "settings: expected an object of settings, found []"),
    ];
    for (settings, expected) in cases {
        assert_eq!(parse::<Limits>(settings), Err(expected.to_owned()), "{settings}");
    }
    let idle = parse::<Limits>(r#"{"least":3,"idle":"an hour"}"#).expect_err("no duration");
    assert!(idle.starts_with(r#"setting "idle": expected a duration such as "#), "{idle}");
    assert!(parse::<Limits>("{").expect_err("no JSON").starts_with("settings are no JSON"));
    assert_eq!(parse::<NoSettings>(r#"{"x":1}"#).err(), Some(r#"unknown setting "x", expected none"#.into()));
}

/// The schema says of each setting what the plugin checks, in words of its doc comment.
#[test]
fn schema_says_what_is_checked() {
    let schema: Value = serde_json::from_str(&schema::<Limits>()).expect("JSON");
    let property = |name: &str| schema["properties"][name].to_string();
    assert_eq!(property("least"), r#"{"description":"The least of \"all\".","minimum":1,"type":"integer"}"#);
    assert_eq!(property("factor"), r#"{"default":-0.5,"maximum":0.5,"type":"number"}"#);
    assert_eq!(property("idle"), r#"{"default":"1h","pattern":"^[0-9]+(ms|s|m|h|d)$","type":"string"}"#);
    assert_eq!(property("type"), r#"{"enum":["plain","out-of-range"]}"#);
    let items = r#"{"maximum":9,"minimum":-128,"type":"integer"}"#;
    assert_eq!(property("levels"), format!(r#"{{"default":[],"items":{items},"type":"array"}}"#));
    assert_eq!(schema["properties"]["nested"]["required"].to_string(), r#"["field"]"#);
    assert_eq!(
        (schema["required"].to_string(), &schema["additionalProperties"]),
        (r#"["least"]"#.into(), &false.into())
    );
}

/// Every unit of a duration is known, and what is too long is refused instead of wrapping.
#[test]
fn durations() {
    let read = |text: &str| <Duration as Setting>::read(&Value::from(text), &Bounds::default()).ok();
    for (text, millis) in [("5ms", 5), ("5s", 5_000), ("5m", 300_000), ("5h", 18_000_000), ("5d", 432_000_000)] {
        assert_eq!(read(text), Some(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "5", "s", "5 s", "-5s", "1.5h", "99999999999999999999d", "18446744073709551615d", "5µs"] {
        assert_eq!(read(text), None, "{text}");
    }
}

/// Times are read as everywhere else.
#[test]
fn times() {
    let read = |text: &str| <Time as Setting>::read(&Value::from(text), &Bounds::default()).ok();
    assert_eq!((read("1970-01-01T00:00:01Z"), read("soon")), (Some(Time(1_000)), None));
}
