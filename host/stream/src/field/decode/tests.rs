//! The decoder against serde_json as the judge of what is valid and what it means.

use super::*;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;
use serde_json::Value;
use std::fmt::Write as _;

fn specs(texts: &[&str]) -> Vec<FieldSpec> {
    texts.iter().map(|text| text.parse().expect("a valid field")).collect()
}

fn decode(fields: &[&str], records: &[&str]) -> Vec<Column> {
    Decoder::new(&specs(fields)).decode(&records.iter().collect())
}

fn faults(column: &Column) -> Vec<(u32, FaultKind)> {
    column.faults.iter().map(|fault| (fault.row, fault.kind)).collect()
}

fn texts(column: &Column) -> Vec<&str> {
    let Cells::Text(cells) = &column.cells else { panic!("not a text column: {column:?}") };
    cells.iter().map(|cell| std::str::from_utf8(cell).expect("valid UTF-8")).collect()
}

// === what the rules say ===

/// One record gives a cell of each type; escapes are resolved in keys and in strings.
#[test]
fn every_type() {
    let columns = decode(
        &["/b: bool", "/i: s64", "/f: f64", "/s: string", "/t: time", "/a~1b/c~0d: string", "/n/1/x: s64"],
        &[
            r#" { "b": true, "i": -12, "f": -73.97512, "\u0073": "caf\u00e9 \ud83d\ude95\n\"", "t": "2013-01-01T00:00:00Z",
                "a/b": {"c~d": "über"}, "n": [0, {"x": 7}] } "#,
        ],
    );
    assert!(columns.iter().all(|column| column.faults.is_empty()), "{columns:?}");
    assert_eq!(columns[0].cells, Cells::Bool(vec![true]));
    assert_eq!(columns[1].cells, Cells::Int(vec![-12]));
    assert_eq!(columns[2].cells, Cells::Float(vec![-73.97512]));
    assert_eq!(texts(&columns[3]), ["café 🚕\n\""]);
    assert_eq!(columns[4].cells, Cells::Int(vec![1_356_998_400_000]));
    assert_eq!(texts(&columns[5]), ["über"]);
    assert_eq!(columns[6].cells, Cells::Int(vec![7]));
}

/// A row without a value keeps its place in the column and says why it has none.
#[test]
fn faults_keep_rows_aligned() {
    let records = [r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":"1"}"#, r#"{"a":1"#, r#"{"b":1}"#, r#"{"a":2}"#];
    let columns = decode(&["/a: s64", "/a: string"], &records);
    use FaultKind::{Malformed, Missing, WrongType};
    assert_eq!(columns[0].cells, Cells::Int(vec![1, 0, 0, 0, 0, 2]));
    assert_eq!(faults(&columns[0]), [(1, Missing), (2, WrongType), (3, Malformed), (4, Missing)]);
    assert_eq!(texts(&columns[1]), ["", "", "1", "", "", ""]);
    assert_eq!(faults(&columns[1])[0], (0, WrongType));
}

/// An s64 is a number without fraction and exponent that fits; an f64 any number that is finite.
#[test]
fn numbers() {
    let whole = |text: &str| {
        let columns = decode(&["/a: s64", "/a: f64"], &[&format!("{{\"a\":{text}}}")]);
        match &columns[0].cells {
            Cells::Int(cells) if columns[0].faults.is_empty() => Ok(cells[0]),
            _ => Err((columns[0].faults[0].kind, columns[1].faults.is_empty())),
        }
    };
    assert_eq!(whole("9223372036854775807"), Ok(i64::MAX));
    assert_eq!(whole("-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(whole("-0"), Ok(0));
    let not_whole = Err((FaultKind::WrongType, true));
    for text in ["1.0", "1e3", "1E-3", "9223372036854775808", "-9223372036854775809", "99999999999999999999999"] {
        assert_eq!(whole(text), not_whole, "{text}");
    }
    assert_eq!(whole("1e999"), Err((FaultKind::WrongType, false)));
    let malformed = Err((FaultKind::Malformed, false));
    for text in ["01", "-", "-01", "1.", ".1", "1e", "1e+", "+1", "0x1", "1.e1", "NaN", "1 2", "--1", "1..2", "1e1.0"] {
        assert_eq!(whole(text), malformed, "{text}");
    }
}

/// The first pointer with a value counts, in the order of the declaration, even if its type is wrong.
#[test]
fn alternatives() {
    let records = [r#"{"b":2,"a":1}"#, r#"{"b":2,"a":null}"#, r#"{"c":{"d":3}}"#, r#"{"a":"x","b":2}"#, r#"{"c":{}}"#];
    let columns = decode(&["/a|/b|/c/d: s64"], &records);
    assert_eq!(columns[0].cells, Cells::Int(vec![1, 2, 3, 0, 0]));
    assert_eq!(faults(&columns[0]), [(3, FaultKind::WrongType), (4, FaultKind::Missing)]);
}

/// Of a repeated key the last one counts, and replaces all that was below the ones before.
#[test]
fn repeated_keys() {
    let records = [r#"{"a":1,"a":2}"#, r#"{"o":{"x":1,"y":2},"o":{"x":3}}"#, r#"{"o":{"x":1},"o":5}"#];
    let columns = decode(&["/a: s64", "/o/x: s64", "/o/y: s64"], &records);
    assert_eq!(columns[0].cells, Cells::Int(vec![2, 0, 0]));
    assert_eq!(columns[1].cells, Cells::Int(vec![0, 3, 0]));
    assert_eq!(faults(&columns[2]).len(), 3, "y is gone: {columns:?}");
}

/// A record that looks like the one before in all but one respect is not taken for it.
#[test]
fn wrong_guesses_change_nothing() {
    let records = [
        r#"{"a":1,"b":2}"#,
        r#"{"b":3,"a":4}"#,
        r#"{"a": 5 ,"b":6}"#,
        r#"{"ab":7,"b":8}"#,
        r#"{"a":9,"c":0,"b":10}"#,
        r#"{,"b":11}"#,
        r#"{"a":12"b":13}"#,
        r#"{"a":14,"b":15}"#,
        r#"{"a":16,}"#,
        r#"{}"#,
    ];
    let columns = decode(&["/a: s64", "/b: s64"], &records);
    assert_eq!(columns[0].cells, Cells::Int(vec![1, 4, 5, 0, 9, 0, 0, 14, 0, 0]));
    assert_eq!(columns[1].cells, Cells::Int(vec![2, 3, 6, 8, 10, 0, 0, 15, 0, 0]));
    let malformed: Vec<_> =
        columns[0].faults.iter().filter(|f| f.kind == FaultKind::Malformed).map(|f| f.row).collect();
    assert_eq!(malformed, [5, 6, 8]);
}

/// A stream whose keys are data neither grows the decoder without bound nor is decoded wrongly.
#[test]
fn keys_as_data() {
    let records: Vec<String> = (0..3_000).map(|i| format!("{{\"k{i}\":{{}},\"a\":{i}}}")).collect();
    let columns = Decoder::new(&specs(&["/a: s64", "/k2999: s64"])).decode(&records.iter().collect());
    assert_eq!(columns[0].cells, Cells::Int((0..3_000).collect()));
    assert_eq!(faults(&columns[1])[2_999], (2_999, FaultKind::WrongType));
    let damaged = ["{\"a\":1}".to_owned(), format!("{{\"{}\":1\"a\":2}}", "k".repeat(200))];
    assert_eq!(faults(&Decoder::new(&specs(&["/a: s64"])).decode(&damaged.iter().collect())[0]).len(), 1);
}

/// As deep as serde_json goes, and no deeper, whether a pointer leads there or not.
#[test]
fn nesting_is_limited() {
    for depth in [126, 127, 128, 100_000] {
        let nested = format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let valid = serde_json::from_str::<Value>(&nested).is_ok();
        assert_eq!(valid, depth <= 127);
        let deep = format!("/a{}: s64", "/0".repeat(depth - 1));
        let columns = decode(&[&deep, "/b: s64"], &[&nested]);
        assert_eq!(columns[0].faults.is_empty(), valid, "{depth}");
        let other = if valid { FaultKind::Missing } else { FaultKind::Malformed };
        assert_eq!(faults(&columns[1]), [(0, other)], "{depth}");
    }
}

/// A time may be a string of its format or a number; any other text has the wrong type.
#[test]
fn times() {
    let fields = ["/t: time", "/t: time(unix-s)", "/t: time(%Y%m%d)"];
    let columns = decode(&fields, &[r#"{"t":19700102}"#, r#"{"t":"1970\u002d01-02"}"#, r#"{"t":true}"#]);
    let cells: Vec<_> = columns.iter().map(|column| column.cells.clone()).collect();
    assert_eq!(cells[0], Cells::Int(vec![19_700_102, 86_400_000, 0]));
    assert_eq!(cells[1], Cells::Int(vec![19_700_102_000, 0, 0]));
    assert_eq!(cells[2], Cells::Int(vec![86_400_000, 0, 0]));
    assert_eq!(faults(&columns[1]), [(1, FaultKind::WrongType), (2, FaultKind::WrongType)]);
}

/// What is no object, and whatever stands before or after one, makes the record malformed.
#[test]
fn only_whole_objects() {
    for bad in
        ["", " ", "1", "[]", "null", "\"{}\"", "{} {}", "{},", "\u{feff}{}", "{\"a\":1}x", "{'a':1}", "{\"a\":tru}"]
    {
        assert_eq!(faults(&decode(&["/a: s64"], &[bad])[0]), [(0, FaultKind::Malformed)], "{bad}");
    }
    assert_eq!(faults(&decode(&["/a: s64"], &["\t{ } \r\n"])[0]), [(0, FaultKind::Missing)]);
}

// === serde_json as the judge ===

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

    /// A record cut off anywhere is malformed in every field, also right after the same record was read in full.
    #[test]
    fn truncated_records_are_malformed(record in objects()) {
        let mut decoder = Decoder::new(&specs(&FIELDS));
        let record = record.trim_end().as_bytes();
        decoder.decode(&[record].into_iter().collect());
        for column in decoder.decode(&(0..record.len()).map(|end| &record[..end]).collect()) {
            let malformed = column.faults.iter().filter(|fault| fault.kind == FaultKind::Malformed).count();
            prop_assert_eq!(malformed, record.len());
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
