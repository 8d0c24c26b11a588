//! JSON as it stands in a case: the members of an object with the very text of their values, so that a plugin gets the
//! bytes that the author wrote; and where two values differ.

use serde_json::{Number, Value};

/// The members of an object in their order, each with the text of its value.
pub fn members(text: &str) -> Result<Vec<(String, &str)>, String> {
    let whole: Value = serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
    if !whole.is_object() {
        return Err(format!("expected an object in braces, found {text}"));
    }
    // From here on the text is known to be a JSON object: only strings and braces have to be told apart.
    let mut members = Vec::new();
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let (mut start, mut name) = (0, None);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => {
                depth += 1;
                start = if depth == 1 { at + 1 } else { start };
            }
            b':' if depth == 1 => {
                name = Some(&text[start..at]);
                start = at + 1;
            }
            b',' | b'}' | b']' => {
                if let (1, Some(name)) = (depth, name.take_if(|_| depth == 1)) {
                    let name = serde_json::from_str(name).map_err(|error| format!("this is not a name: {error}"))?;
                    members.push((name, text[start..at].trim()));
                    start = at + 1;
                } else if depth == 1 {
                    start = at + 1;
                }
                depth -= i32::from(byte != b',');
            }
            _ => {}
        }
    }
    Ok(members)
}

/// A place where a value is not the expected one.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The names and numbers that lead there, with dots between them; empty for the value as a whole.
    pub path: String,
    /// What should be there, if anything.
    pub expected: Option<Value>,
    /// What is there, if anything.
    pub found: Option<Value>,
}

/// Where two values differ. Numbers are the same if they are equal, however they are written: 1 and 1.0.
pub fn differences(expected: &Value, found: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(String::new(), Some(expected), Some(found), &mut differences);
    differences
}

fn compare(path: String, expected: Option<&Value>, found: Option<&Value>, differences: &mut Vec<Difference>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (expected, found) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            for (name, value) in one {
                compare(below(name), Some(value), other.get(name), differences);
            }
            for (name, value) in other.iter().filter(|(name, _)| !one.contains_key(*name)) {
                compare(below(name), None, Some(value), differences);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for at in 0..one.len().max(other.len()) {
                compare(below(&at.to_string()), one.get(at), other.get(at), differences);
            }
        }
        (Some(Value::Number(one)), Some(Value::Number(other))) if is_equal(one, other) => {}
        (one, other) if one == other => {}
        (expected, found) => {
            differences.push(Difference { path, expected: expected.cloned(), found: found.cloned() });
        }
    }
}

/// Whole numbers are compared as such: as floating point numbers large ones would be taken for each other.
fn is_equal(one: &Number, other: &Number) -> bool {
    one == other || ((one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Members come with the text of their values as it was written: order, spaces and digits included.
    #[test]
    fn members_keep_their_text() {
        let text = r#" {"a" : {"z": 1.50, "b": [1, 2 ]}, "q\"}": "x,}\\", "n":-0.0 ,"e": {}} "#;
        let found = members(text).expect("an object");
        let expected = [("a", r#"{"z": 1.50, "b": [1, 2 ]}"#), ("q\"}", r#""x,}\\""#), ("n", "-0.0"), ("e", "{}")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(members("{}"), Ok(Vec::new()));
        for bad in ["[1]", "{", "{\"a\": 01}", ""] {
            assert!(members(bad).is_err(), "{bad}");
        }
    }

    /// Differences are named by their path; numbers that are equal do not differ, large whole ones do.
    #[test]
    fn differences_have_a_place() {
        let one = json!({"a": 1, "b": {"c": [1, 2]}, "d": 9_007_199_254_740_993u64});
        assert!(differences(&one, &json!({"d": 9_007_199_254_740_993u64, "b": {"c": [1.0, 2]}, "a": 1.0})).is_empty());
        let other = json!({"a": "1", "b": {"c": [1]}, "d": 9_007_199_254_740_992u64, "e": null});
        let paths: Vec<_> = differences(&one, &other).into_iter().map(|difference| difference.path).collect();
        assert_eq!(paths, ["a", "b.c.1", "d", "e"]);
        assert_eq!(differences(&json!(1), &json!([1]))[0].path, "");
    }
}
