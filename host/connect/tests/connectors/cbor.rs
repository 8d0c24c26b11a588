//! Reads CBOR (RFC 8949), as far as a client of AWS sends it, into JSON. Written from the RFC: it shares nothing with the client.

use serde_json::{Map, Value, json};

/// One value, all of the bytes.
pub fn read(mut bytes: &[u8]) -> Value {
    let value = value(&mut bytes).expect("a value");
    assert!(bytes.is_empty(), "{} bytes behind the value", bytes.len());
    value
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> &'b [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

/// `None`: the end of something without a length.
fn value(bytes: &mut &[u8]) -> Option<Value> {
    let first = take(bytes, 1)[0];
    let (major, minor) = (first >> 5, first & 31);
    if first == 0xff {
        return None;
    }
    let argument = match minor {
        0..=23 => Some(u64::from(minor)),
        24..=27 => {
            let mut wide = [0; 8];
            let size = 1 << (minor - 24);
            wide[8 - size..].copy_from_slice(take(bytes, size));
            Some(u64::from_be_bytes(wide))
        }
        _ => None,
    };
    let more = |read: usize| argument.is_none_or(|length| (read as u64) < length);
    Some(match (major, argument) {
        (0, Some(number)) => json!(number),
        (1, Some(number)) => json!(-1 - number as i64),
        (3, Some(length)) => json!(String::from_utf8_lossy(take(bytes, length as usize))),
        (4, _) => {
            let mut all = Vec::new();
            while more(all.len()) {
                match value(bytes) {
                    Some(value) => all.push(value),
                    None => break,
                }
            }
            all.into()
        }
        (5, _) => {
            let mut all = Map::new();
            while more(all.len()) {
                match value(bytes) {
                    Some(Value::String(name)) => all.insert(name, value(bytes).expect("a value")),
                    None => break,
                    Some(other) => panic!("a name that is {other}"),
                };
            }
            all.into()
        }
        // What a tag says of a value is known from its name.
        (6, _) => value(bytes).expect("a value"),
        (7, Some(bits)) if minor == 27 => json!(f64::from_bits(bits)),
        (7, Some(bits)) if minor == 26 => json!(f32::from_bits(bits as u32)),
        (7, _) if minor == 20 || minor == 21 => json!(minor == 21),
        (7, _) if minor == 22 => Value::Null,
        _ => panic!("type {major} {minor}"),
    })
}
