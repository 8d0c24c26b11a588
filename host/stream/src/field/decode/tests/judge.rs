//! The decoder against serde_json as the judge of what is valid and what it means.

use super::{decode, specs};
use crate::binary::Span;
use crate::field::{Decoder, FieldSpec, FieldType};
use crate::{Binary, Cells, Column, FaultKind};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;
use serde_json::Value;
use std::fmt::Write as _;

const FIELDS: [&str; 12] = [
    "/a: s64",
    "/a: f64",
    "/a: string",
    "/a: bool",
    "/b: f64",
    "/b/a: s64",
    "/b/0: string",
    "/b/a/a|/b/1/a: string",
    "/: string",
    "/é\"~1: f64",
    "/b/c/b: f64",
    "/c|/b/b: s64",
];

/// The value of a field as the rules give it for a parsed record. `None` for a zero below zero as an s64: `-0` is one,
/// `-0.0` is none, and serde_json has forgotten which it was.
fn expected(spec: &FieldSpec, record: &Value) -> Option<Result<Value, FaultKind>> {
    let pointer = |tokens: &Vec<String>| {
        let escaped = tokens.iter().map(|token| format!("/{}", token.replace('~', "~0").replace('/', "~1")));
        record.pointer(&escaped.collect::<String>())
    };
    let Some(value) = spec.pointers.iter().filter_map(pointer).find(|value| !value.is_null()) else {
        return Some(Err(FaultKind::Missing));
    };
    let typed = match spec.kind {
        FieldType::Int if value.as_f64().is_some_and(|value| value == 0.0 && value.is_sign_negative()) => return None,
        FieldType::Bool => value.is_boolean(),
        FieldType::Int => value.is_i64(),
        FieldType::Float => value.is_number(),
        _ => value.is_string(),
    };
    Some(if typed { Ok(value.clone()) } else { Err(FaultKind::WrongType) })
}

/// Compares a cell with what is expected. serde_json's floats are off in their last digits: `floats_are_exact` is strict.
fn agrees(column: &Column, row: usize, expected: &Result<Value, FaultKind>) -> bool {
    let fault = column.faults.iter().find(|fault| fault.row as usize == row);
    match (expected, fault) {
        (Err(kind), fault) => fault.is_some_and(|fault| fault.kind == *kind),
        (Ok(_), Some(_)) => false,
        (Ok(value), None) => match &column.cells {
            Cells::Bool(cells) => value.as_bool() == Some(cells[row]),
            Cells::Int(cells) => value.as_i64() == Some(cells[row]),
            Cells::Float(cells) => value
                .as_f64()
                .is_some_and(|wanted| (wanted - cells[row]).abs() <= wanted.abs() * 1e-12 + f64::MIN_POSITIVE),
            Cells::Text(cells) => value.as_str().map(str::as_bytes) == Some(cells.get(row)),
        },
    }
}

/// A JSON text without any choice left, so that it may repeat keys and be written in odd ways.
#[derive(Debug, Clone)]
enum Json {
    Verbatim(String),
    Text(Vec<Letter>),
    Array(Vec<(String, Json)>),
    Object(Vec<(String, Vec<Letter>, Json)>),
}

#[derive(Debug, Clone)]
struct Letter {
    letter: char,
    /// Whether to write it as `\uXXXX` though it need not be.
    escaped: bool,
}

fn print_text(letters: &[Letter], out: &mut String) {
    out.push('"');
    for &Letter { letter, escaped } in letters {
        match letter {
            '\n' if !escaped => out.push_str("\\n"),
            '"' if !escaped => out.push_str("\\\""),
            '\\' if !escaped => out.push_str("\\\\"),
            _ if escaped || letter < ' ' => {
                letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write!(out, "\\u{unit:04X}").expect("String"));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}

/// The white space of each item surrounds it.
fn print(json: &Json, out: &mut String) {
    match json {
        Json::Verbatim(text) => out.push_str(text),
        Json::Text(letters) => print_text(letters, out),
        Json::Array(items) => {
            out.push('[');
            for (nth, (space, item)) in items.iter().enumerate() {
                out.push_str(if nth > 0 { "," } else { "" });
                out.push_str(space);
                print(item, out);
                out.push_str(space);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (nth, (space, key, member)) in members.iter().enumerate() {
                out.push_str(if nth > 0 { "," } else { "" });
                out.push_str(space);
                print_text(key, out);
                out.push_str(space);
                out.push(':');
                out.push_str(space);
                print(member, out);
                out.push_str(space);
            }
            out.push('}');
        }
    }
}

fn letters() -> impl Strategy<Value = Vec<Letter>> {
    let letter = prop_oneof![8 => proptest::char::range(' ', '~'), 1 => any::<char>(), 1 => Just('"'), 1 => Just('\\')];
    let letter = (letter, proptest::bool::weighted(0.1)).prop_map(|(letter, escaped)| Letter { letter, escaped });
    proptest::collection::vec(letter, 0..20)
}

fn keys() -> impl Strategy<Value = Vec<Letter>> {
    let known = proptest::sample::select(vec!["a", "b", "c", "0", "1", "", "é\"/"]);
    let known = (known, proptest::bool::weighted(0.1))
        .prop_map(|(key, escaped)| key.chars().map(|letter| Letter { letter, escaped }).collect());
    prop_oneof![6 => known, 1 => letters()]
}

fn scalars() -> impl Strategy<Value = Json> {
    prop_oneof![
        "null|true|false".prop_map(Json::Verbatim),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?".prop_map(Json::Verbatim),
        any::<f64>()
            .prop_filter("JSON has finite numbers", |value| value.is_finite())
            .prop_map(|value| { Json::Verbatim(value.to_string()) }),
        any::<i64>().prop_map(|value| Json::Verbatim(value.to_string())),
        letters().prop_map(Json::Text),
    ]
}

fn spaces() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 2 => Just(" ".to_owned()), 1 => "[ \t\r\n]{0,3}"]
}

fn objects() -> impl Strategy<Value = String> {
    fn members(inner: impl Strategy<Value = Json>) -> impl Strategy<Value = Json> {
        proptest::collection::vec((spaces(), keys(), inner), 0..6).prop_map(Json::Object)
    }
    let values = scalars().prop_recursive(4, 30, 6, |inner| {
        prop_oneof![members(inner.clone()), proptest::collection::vec((spaces(), inner), 0..4).prop_map(Json::Array)]
    });
    (spaces(), members(values)).prop_map(|(space, object)| {
        let mut text = space.clone();
        print(&object, &mut text);
        text + &space
    })
}

/// Whether serde_json reads these bytes as an object. Unlike serde_json, the decoder takes a number that is too large
/// for an f64 as valid JSON, so that a field nobody asked for cannot spoil a record.
fn judge(record: &[u8]) -> Option<Result<Value, ()>> {
    match serde_json::from_slice::<Value>(record) {
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Ok(value) if value.is_object() => Some(Ok(value)),
        _ => Some(Err(())),
    }
}

fn check(decoder: &mut Decoder, records: &[Vec<u8>]) {
    let specs = specs(&FIELDS);
    let columns = decoder.decode(&records.iter().collect());
    for (row, record) in records.iter().enumerate() {
        let Some(verdict) = judge(record) else { continue };
        for (spec, column) in specs.iter().zip(&columns) {
            let malformed = Some(Err(FaultKind::Malformed));
            let Some(wanted) = verdict.as_ref().map_or(malformed, |value| expected(spec, value)) else { continue };
            let text = String::from_utf8_lossy(record);
            assert!(agrees(column, row, &wanted), "{spec} of {text} should be {wanted:?}: {column:?}");
        }
    }
}

proptest! {
    /// Whatever valid objects look like, and whatever came before them, fields are what serde_json finds.
    #[test]
    fn objects_are_read_as_serde_json_reads_them(records in proptest::collection::vec(objects(), 1..8)) {
        let mut records: Vec<Vec<u8>> = records.into_iter().map(String::into_bytes).collect();
        records.extend_from_within(..);
        check(&mut Decoder::new(&specs(&FIELDS)), &records);
    }

    /// A record cut off anywhere is malformed in every field, also right after the same record was read in full, and
    /// when the missing bytes lie behind it in the buffer.
    #[test]
    fn truncated_records_are_malformed(record in objects()) {
        let mut decoder = Decoder::new(&specs(&FIELDS));
        let record = record.trim_end().as_bytes();
        let whole = Span { start: 0, end: record.len() as u32 };
        let spans = std::iter::once(whole).chain((0..whole.end).map(|end| Span { start: 0, end })).collect();
        let records = Binary::from_spans(record.to_vec(), spans).expect("spans of the buffer");
        for column in decoder.decode(&records) {
            let malformed: Vec<_> = column.faults.iter().filter(|f| f.kind == FaultKind::Malformed).map(|f| f.row).collect();
            prop_assert_eq!(malformed, (1..=whole.end).collect::<Vec<_>>());
        }
    }

    /// Damage of any kind is found exactly where serde_json finds it.
    #[test]
    fn damage_is_found_as_serde_json_finds_it(
        record in objects(),
        damage in proptest::collection::vec((any::<Index>(), 0..3u8, any::<u8>(), any::<Index>()), 1..20),
    ) {
        let record = record.into_bytes();
        let mut records = vec![record.clone()];
        for (place, kind, byte, other) in damage {
            let mut damaged = record.clone();
            let (at, other) = (place.index(record.len()), record[other.index(record.len())]);
            match kind {
                0 => damaged[at] = byte,
                1 => damaged.insert(at, other),
                _ => { damaged.remove(at); }
            }
            records.push(damaged);
        }
        check(&mut Decoder::new(&specs(&FIELDS)), &records);
    }

    /// No bytes make it panic, and what it takes for an object serde_json does too.
    #[test]
    fn arbitrary_bytes(records in proptest::collection::vec(
        prop_oneof![any::<Vec<u8>>(), "[{}\\[\\]:,\"a-c0-2.eE+\\\\ud8\\-tfn ]{0,12}".prop_map(String::into_bytes),
            "\\{\"a\":[{}\\[\\]:,\"a-c0-2.eE+\\\\ud8\\-tfn ]{0,12}\\}".prop_map(String::into_bytes)], 1..20)
    ) {
        check(&mut Decoder::new(&specs(&FIELDS)), &records);
    }

    /// Floats are the nearest to what is written, however many digits it has.
    #[test]
    fn floats_are_exact(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?") {
        let wanted: f64 = text.parse().expect("Rust reads every JSON number");
        let columns = decode(&["/a: f64"], &[&format!("{{\"a\":{text}}}")]);
        let found = match &columns[0].cells {
            Cells::Float(cells) if columns[0].faults.is_empty() => cells[0].to_bits(),
            _ => f64::INFINITY.copysign(wanted).to_bits(),
        };
        prop_assert!(found == wanted.to_bits(), "{} read as {}", text, f64::from_bits(found));
    }
}
