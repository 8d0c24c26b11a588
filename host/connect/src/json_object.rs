//! Small changes to the text of a JSON object, without reading all of it into memory and writing it again: everything else
//! stays byte by byte.

use bytes::Bytes;
use serde_json::Value;
use std::ops::Range;

/// An object with this member: in place of the one of its name that counts, or else in front. `None`: it is no object.
pub fn with_member(value: &[u8], name: &str, text: &str) -> Option<Bytes> {
    let object = value.trim_ascii();
    let rest = object.strip_prefix(b"{")?.trim_ascii_start();
    if !object.ends_with(b"}") {
        return None;
    }
    if let Some(Range { start, end }) = member(object, 0, name) {
        let text = Value::from(text).to_string();
        return Some([object.get(..start)?, text.as_bytes(), object.get(end..)?].concat().into());
    }
    let (name, text) = (Value::from(name), Value::from(text));
    let comma = if rest.starts_with(b"}") { "" } else { "," };
    Some([format!("{{{name}:{text}{comma}").as_bytes(), rest].concat().into())
}

/// Where the value of a member lies, by the names on the way to it. Of members of one name the last counts. `None`: there is
/// none, or the text is no JSON. Members of arrays are not looked at.
pub fn find(object: &[u8], names: &[String]) -> Option<Range<usize>> {
    let mut range = 0..object.len();
    for name in names {
        range = member(object, range.start, name)?;
    }
    Some(range)
}

/// The value of a member of the object that begins at `at`.
fn member(text: &[u8], at: usize, name: &str) -> Option<Range<usize>> {
    let mut at = behind(text, space(text, at), b'{')?;
    let mut found = None;
    if text.get(space(text, at)) == Some(&b'}') {
        return None;
    }
    loop {
        let key = space(text, at);
        let end = value_end(text, key)?;
        let is_it = serde_json::from_slice::<String>(text.get(key..end)?).ok()? == name;
        let start = space(text, behind(text, space(text, end), b':')?);
        let end = value_end(text, start)?;
        if is_it {
            found = Some(start..end);
        }
        at = space(text, end);
        match text.get(at)? {
            b',' => at += 1,
            _ => return found,
        }
    }
}

fn space(text: &[u8], at: usize) -> usize {
    let blank = text.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_whitespace());
    at + blank.count()
}

fn behind(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (text.get(at) == Some(&byte)).then_some(at + 1)
}

/// One past the value that begins at `at`.
fn value_end(text: &[u8], at: usize) -> Option<usize> {
    let (mut depth, mut is_text, mut is_escaped) = (0usize, false, false);
    for (end, byte) in text.iter().enumerate().skip(at) {
        match (is_text, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (true, b'"') => {
                is_text = false;
                if depth == 0 {
                    return Some(end + 1);
                }
            }
            (true, _) => {}
            (false, b'"') => is_text = true,
            (false, b'{' | b'[') => depth += 1,
            // The end of what a plain value is in.
            (false, b'}' | b']' | b',') if depth == 0 => return Some(end),
            (false, b'}' | b']') => {
                depth -= 1;
                if depth == 0 {
                    return Some(end + 1);
                }
            }
            (false, byte) if depth == 0 && byte.is_ascii_whitespace() => return Some(end),
            (false, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    /// A member is put in front of what is there, in objects of any spelling, or takes the place of another one of its name;
    /// nothing else is an object.
    #[test]
    fn members_are_put_in() {
        let with = |value: &str| with_member(value.as_bytes(), "id", "a|\"b").map(|bytes| bytes.to_vec());
        assert_eq!(with("{}"), Some(br#"{"id":"a|\"b"}"#.to_vec()));
        assert_eq!(with(" { \"n\": 1}\n"), Some(br#"{"id":"a|\"b","n": 1}"#.to_vec()));
        assert_eq!(
            with(r#"{"a":{"id":1}, "id" : [2] ,"b":3}"#),
            Some(br#"{"a":{"id":1}, "id" : "a|\"b" ,"b":3}"#.to_vec())
        );
        assert_eq!([with(""), with("[1]"), with("{")], [None, None, None]);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a\"\\\\{},é]{0,4}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[ab\"\\\\}]{1,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Every member is found where a parser finds it, however the text is spaced; hostile text is no panic.
        #[test]
        fn members_are_found(value in json(), a in "[ab\"\\\\}]{1,2}", b in "[ab\"\\\\}]{1,2}", is_pretty in any::<bool>(), cut in 0usize..60) {
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("JSON").into_bytes();
            for names in [vec![a.clone()], vec![a, b]] {
                let expected = names.iter().try_fold(&value, |value, name| value.as_object()?.get(name));
                let found = find(&text, &names).map(|range| serde_json::from_slice::<Value>(&text[range]).expect("JSON"));
                prop_assert_eq!(found.as_ref(), expected);
                let _ = find(&text[..cut.min(text.len())], &names);
            }
        }
    }
}
