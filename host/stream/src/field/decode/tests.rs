//! What the decoder promises, by example; `judge` compares it with serde_json.

mod judge;

use super::*;
use crate::{Cells, FaultKind};
use serde_json::Value;

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
    match &column.cells {
        Cells::Text(cells) => cells.iter().map(|cell| std::str::from_utf8(cell).expect("valid UTF-8")).collect(),
        _ => Vec::new(),
    }
}

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

/// A row says nothing about another one, however many there are in a batch.
#[test]
fn rows_are_independent() {
    let records: Vec<_> =
        (0..1_000).map(|row| if row % 7 == 3 { "{}".to_owned() } else { format!("{{\"a\":{row}}}") }).collect();
    let columns = Decoder::new(&specs(&["/a: s64"])).decode(&records.iter().collect());
    assert_eq!(columns[0].cells, Cells::Int((0..1_000).map(|row| if row % 7 == 3 { 0 } else { row }).collect()));
    let missing: Vec<_> = (0..1_000).filter(|row| row % 7 == 3).map(|row| (row, FaultKind::Missing)).collect();
    assert_eq!(faults(&columns[0]), missing);
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

/// Numbers of every length, which are read in words of 8 and windows of 16 bytes, have the value that Rust gives them.
#[test]
fn numbers_of_every_length() {
    let digits = "1234567890123456789012345";
    for (whole, fraction, sign, behind) in (1..=25).flat_map(|whole| {
        (0..=25).flat_map(move |fraction| ["", "-"].map(|sign| (whole, fraction, sign, (whole + fraction) % 20)))
    }) {
        let point = if fraction > 0 { "." } else { "" };
        let text = format!("{sign}{}{point}{}", &digits[..whole], &digits[..fraction]);
        let record = format!("{{\"a\":{text}}}{}", " ".repeat(behind));
        let columns = decode(&["/a: f64", "/a: s64"], &[&record]);
        assert_eq!(columns[0].cells, Cells::Float(vec![text.parse().expect("a float")]), "{text}");
        let (whole, faults) = text.parse().map_or((0, 1), |whole: i64| (whole, 0));
        assert_eq!((&columns[1].cells, columns[1].faults.len()), (&Cells::Int(vec![whole]), faults), "{text}");
    }
}

/// A byte that a string may not have, or that needs attention, gets it at every place of strings of every length.
#[test]
fn strings_of_every_length() {
    for (length, at) in (1..=40).flat_map(|length| (0..length).map(move |at| (length, at))) {
        let string = |middle: &[u8]| [&vec![b'a'; at][..], middle, &vec![b'b'; length - at - 1]].concat();
        let found = |middle: &[u8]| {
            let record = [b"{\"a\":\"", &string(middle)[..], b"\",\"b\":1}"].concat();
            let columns = Decoder::new(&specs(&["/a: string"])).decode(&[record].into_iter().collect());
            match (&columns[0].cells, &columns[0].faults[..]) {
                (Cells::Text(cells), []) => Ok(cells.get(0).to_vec()),
                (_, faults) => Err(faults[0].kind),
            }
        };
        for (written, read) in [
            ("c", "c"),
            ("é", "é"),
            ("\u{7f}", "\u{7f}"),
            ("\\\"", "\""),
            ("\\u00e9", "é"),
            ("\\udbff\\udfff", "\u{10ffff}"),
        ] {
            assert_eq!(found(written.as_bytes()), Ok(string(read.as_bytes())), "{written} at {at} of {length}");
        }
        let bad = [
            &b"\""[..],
            b"\x1f",
            b"\0",
            b"\xff",
            b"\xc3",
            b"\\x",
            b"\\ud800",
            b"\\udc00",
            b"\\ud800\\ue000",
            b"\\u00g0",
        ];
        for written in bad {
            assert_eq!(found(written), Err(FaultKind::Malformed), "{written:?} at {at} of {length}");
        }
    }
}
