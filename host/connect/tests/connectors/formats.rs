//! The formats that the `file` and `s3` sinks share: every row is there once, in its columns and in its partition, or refused
//! with a reason; and their settings.

use crate::file::{lines, names, to};
use crate::harness::sink;
use crate::sink_suite::{batch, records, rows, write_all, write_batches};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::tempdir;
use wasmill_stream::Batch;
use wasmill_stream::ledger::StepLedger;

/// All complete files below a folder, sorted, as paths in it.
pub fn below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for name in names(folder) {
        match folder.join(&name) {
            path if path.is_dir() => found.extend(below(&path).iter().map(|file| format!("{name}/{file}"))),
            _ if name.ends_with(".part") => {}
            _ => found.push(name),
        }
    }
    found
}

/// The rows of a Parquet file as JSON.
pub fn parquet_rows(bytes: impl Into<bytes::Bytes>) -> Vec<Value> {
    let reader = SerializedFileReader::new(bytes.into()).expect("a whole file");
    reader.get_row_iter(None).expect("rows").map(|row| object(&row.expect("a row"))).collect()
}

fn object(row: &Row) -> Value {
    let value = |field: &Field| match field {
        Field::Null => Value::Null,
        Field::Bool(value) => json!(value),
        Field::Long(value) | Field::TimestampMillis(value) => json!(value),
        Field::Double(value) => json!(value),
        Field::Str(text) => json!(text),
        other => panic!("{other}"),
    };
    let members = row.get_column_iter().map(|(name, field)| (name.clone(), value(field)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn read(folder: &Path) -> Vec<Value> {
    let files = below(folder).into_iter().map(|name| std::fs::read(folder.join(name)).expect("a file"));
    files.flat_map(parquet_rows).collect()
}

/// Writes rows of one split into a folder.
async fn write(path: &Path, settings: &str, rows: &[&str]) -> Arc<StepLedger> {
    write_batches(to(path, settings), &[records(0, rows)]).await.expect("nothing fatal")
}

const COLUMNS: &str = "columns = [\"at = /t: time(unix-ms)\", \"/n: s64\", \"/fare: f64?\", \"/zone: string?\", \"/ok: bool?\", \
                       \"/extra\"]";

/// Rows with and without optional fields, nested ones and some that do not fit → Parquet has those that fit, typed; the others
/// are refused, each for its own reason, and nothing is lost.
#[tokio::test]
async fn declared_columns() {
    let good = [
        r#"{"t":1,"n":1,"fare":2.5,"zone":"é \"x\"","ok":true,"extra":{"a":[1,2]}}"#,
        r#"{"t":2,"n":-9223372036854775808,"fare":null,"extra":"text"}"#,
        r#"{"t":3,"n":3,"fare":7,"extra":1.50,"unknown":1}"#,
    ];
    let bad = [
        (r#"{"t":4,"n":"4"}"#, "field `/n: s64` has the wrong type"),
        (r#"{"n":5}"#, "field `/t: time(unix-ms)` is missing"),
        (r#"{"t":6,"n":6,"fare":"x"}"#, "field `/fare: f64?` has the wrong type"),
        ("[]", "the record is not a whole JSON object"),
    ];
    let expected = [
        json!({"at": 1, "n": 1, "fare": 2.5, "zone": "é \"x\"", "ok": true, "extra": "{\"a\":[1,2]}"}),
        json!({"at": 2, "n": i64::MIN, "fare": null, "zone": null, "ok": null, "extra": "text"}),
        json!({"at": 3, "n": 3, "fare": 7.0, "zone": null, "ok": null, "extra": "1.50"}),
    ];
    let all: Vec<_> = good.into_iter().chain(bad.map(|(row, _)| row)).collect();
    for more in ["", "compression = \"snappy\"", "compression = \"none\"", "row_group_bytes = \"1B\""] {
        let folder = tempdir().expect("a folder");
        let ledger = write(folder.path(), &format!("format = \"parquet\"\n{COLUMNS}\n{more}"), &all).await;
        assert_eq!(names(folder.path()), ["part-000001.parquet"], "{more}");
        assert_eq!(read(folder.path()), expected, "{more}");
        let counts = ledger.counts();
        assert_eq!((counts.emitted, counts.rejected, counts.in_flight()), (3, 4, 0), "{more}");
        let reasons: Vec<_> = ledger.rejects().reasons.into_keys().collect();
        for (_, reason) in bad {
            assert!(reasons.iter().any(|known| known == reason), "{reason}: {reasons:?}");
        }
        let file = File::open(folder.path().join("part-000001.parquet")).expect("a file");
        let groups = SerializedFileReader::new(file).expect("a whole file").metadata().num_row_groups();
        assert_eq!(groups, if more.starts_with("row_group") { 3 } else { 1 });
    }
}

/// Rows of which nobody has said what they have → a file has the columns that fit all of its rows, and every row.
#[tokio::test]
async fn inferred_columns() {
    let folder = tempdir().expect("a folder");
    let rows = [
        r#"{"n":1,"x":1,"mixed":1,"s":"a","big":18446744073709551615,"no":null}"#,
        r#"{"x":1.5,"mixed":"one","b":true,"nested":{"a":1}}"#,
        "7",
        r#"{"n":3,"s":null,"late":"é"}"#,
    ];
    let ledger = write(folder.path(), "format = \"parquet\"", &rows).await;
    let none = Value::Null;
    let expected = [
        json!({"n": 1, "x": 1.0, "mixed": "1", "s": "a", "big": "18446744073709551615", "no": none, "b": none, "nested": none, "late": none}),
        json!({"n": none, "x": 1.5, "mixed": "one", "s": none, "big": none, "no": none, "b": true, "nested": "{\"a\":1}", "late": none}),
        json!({"n": 3, "x": none, "mixed": none, "s": none, "big": none, "no": none, "b": none, "nested": none, "late": "é"}),
    ];
    assert_eq!(read(folder.path()), expected);
    assert_eq!((ledger.counts().rejected, ledger.counts().in_flight()), (1, 0));
}

/// Cells with commas, quotes and line ends → CSV that a reader takes apart into the same; what is missing is empty; each file
/// has its header once, plain and packed.
#[tokio::test]
async fn csv() {
    let rows = [
        r#"{"t":0,"a":"x,\"y\"\nz","b":{"c":"é"}}"#,
        r#"{"t":1,"a":null}"#,
        r#"{"t":2,"a":1e3,"b":{"c":[1, "2"]},"f":0.5}"#,
        r#"{"t":"no"}"#,
    ];
    let settings = "columns = [\"at, UTC = /t: time(unix-ms)\", \"/a\", \"c = /b/c\", \"/f: f64?\"]";
    let expected = [
        ["at, UTC", "a", "c", "f"],
        ["1970-01-01T00:00:00.000Z", "x,\"y\"\nz", "é", ""],
        ["1970-01-01T00:00:00.001Z", "", "", ""],
        ["1970-01-01T00:00:00.002Z", "1e3", "[1, \"2\"]", "0.5"],
    ];
    let folder = tempdir().expect("a folder");
    for (path, more) in [
        ("one.csv", ""),
        ("one.csv.gz", ""),
        ("one.csv.zst", "format = \"csv\"\ncompression = \"zstd\""),
        ("parts", "format = \"csv\"\ncompression = \"zstd\""),
        ("partitioned", "format = \"csv\"\nprefix = \"all/\""),
    ] {
        let path = folder.path().join(path);
        let ledger = write(&path, &format!("{settings}\n{more}"), &rows).await;
        assert_eq!((ledger.counts().emitted, ledger.counts().rejected), (3, 1), "{}", path.display());
        let file = if path.is_dir() { path.join(&below(&path)[0]) } else { path };
        let text = lines(&file).join("\n");
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let found: Vec<Vec<String>> = reader.deserialize().map(|row| row.expect("a row")).collect();
        assert_eq!(found, expected, "{}", file.display());
    }
}

/// Rows of several days and zones → each in the folder of its day and zone, whatever a zone is called.
#[tokio::test]
async fn partitions() {
    let zones = ["Midtown", "../../etc", "a/b", "", "_x", "Midtown"];
    let rows: Vec<_> = zones.iter().enumerate().map(|(n, zone)| json!({"n": n, "zone": zone}).to_string()).collect();
    let times = vec![0, 1, 2, 3, 4, 86_400_000];
    let batch = Arc::new(Batch { times, ..Batch::clone(&records(0, &rows)) });
    for format in ["json", "parquet"] {
        let root = tempdir().expect("a folder");
        let folder = root.path().join("in");
        let settings = format!("format = \"{format}\"\nprefix = \"dt={{+%Y-%m-%d}}/zone={{zone}}/\"");
        let ledger = write_batches(to(&folder, &settings), std::slice::from_ref(&batch)).await.expect("nothing fatal");
        assert_eq!(ledger.counts().emitted, 6);
        let found = below(root.path());
        let expected = [
            "dt=1970-01-01/zone=%2E.%2F..%2Fetc",
            "dt=1970-01-01/zone=%5Fx",
            "dt=1970-01-01/zone=Midtown",
            "dt=1970-01-01/zone=__HIVE_DEFAULT_PARTITION__",
            "dt=1970-01-01/zone=a%2Fb",
            "dt=1970-01-02/zone=Midtown",
        ];
        let end = if format == "json" { "jsonl" } else { format };
        assert_eq!(found, expected.map(|place| format!("in/{place}/part-000001.{end}")));
    }
}

/// More partitions at once than may be open, and files that roll by size → every row is there once, and no partition is lost.
#[tokio::test]
async fn many_partitions() {
    let rows: Vec<_> = (0..400).map(|n| json!({"n": n, "zone": n * 7 % 80}).to_string()).collect();
    for (format, rolls) in [("parquet", "2 KiB"), ("csv\"\ncolumns = [\"/n\"]\n#\"", "1 MiB")] {
        let folder = tempdir().expect("a folder");
        let settings = format!("format = \"{format}\"\nprefix = \"z={{zone}}/\"\nroll_bytes = \"{rolls}\"");
        write_all(to(folder.path(), &settings), &rows, 70).await;
        let files = below(folder.path());
        let zones: std::collections::BTreeSet<_> =
            files.iter().filter_map(|file| file.split_once('/')).map(|(zone, _)| zone).collect();
        assert_eq!(zones.len(), 80);
        let of = |file: &PathBuf| match file.extension().is_some_and(|end| end == "parquet") {
            true => parquet_rows(std::fs::read(file).expect("a file"))
                .iter()
                .map(|row| row["n"].as_u64().expect("n"))
                .collect(),
            false => lines(file).iter().skip(1).map(|line| line.parse().expect("n")).collect::<Vec<u64>>(),
        };
        let mut found: Vec<_> = files.iter().flat_map(|file| of(&folder.path().join(file))).collect();
        found.sort_unstable();
        assert_eq!(found, (0..400).collect::<Vec<_>>());
    }
}

/// Files of Parquet roll by what they take.
#[tokio::test]
async fn parquet_rolls_by_size() {
    let folder = tempdir().expect("a folder");
    let settings = "format = \"parquet\"\nroll_bytes = \"1 KiB\"\ncolumns = [\"/n: s64\"]";
    write_all(to(folder.path(), settings), &rows(1_000), 100).await;
    // Eight bytes each, and four at the beginning of a file.
    assert_eq!(names(folder.path()).len(), 8, "{:?}", names(folder.path()));
    assert_eq!(read(folder.path()).len(), 1_000);
    write_all(to(folder.path(), settings), &rows(1), 1).await;
    assert_eq!(names(folder.path()).last().map(String::as_str), Some("part-000009.parquet"));
}

/// Rows with more different members than a file can have columns → the rest is refused, and no row is half there.
#[tokio::test]
async fn keys_as_data() {
    let folder = tempdir().expect("a folder");
    let rows: Vec<_> =
        (0..300).map(|n| (0..10).map(|m| (format!("k{n}-{m}"), json!(m))).collect::<Map<_, _>>()).collect();
    let rows: Vec<_> = rows.into_iter().map(|row| Value::Object(row).to_string()).collect();
    let ledger = write_batches(to(folder.path(), "format = \"parquet\""), &[batch(&rows)]).await;
    let ledger = ledger.expect("nothing fatal");
    assert_eq!((ledger.counts().emitted, ledger.counts().rejected), (100, 200));
    assert_eq!(read(folder.path()).len(), 100);
}

/// Settings that do not fit each other are all found, with what to do.
#[test]
fn contradictions() {
    let problems = |kind: &str, settings: &str| match sink(kind, settings) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>(),
    };
    for (settings, expected) in [
        ("path = \"x\"\nformat = \"csv\"", &["`columns` is missing"][..]),
        ("path = \"x\"\ncolumns = [\"/a\"]\nrow_group_bytes = \"1 MiB\"", &["no columns", "`row_group_bytes`"]),
        ("path = \"x.csv\"\nformat = \"json\"\ncolumns = [\"/a\"]", &["`format` does not fit"]),
        ("path = \"x.csv.gz\"\ncompression = \"zstd\"\ncolumns = [\"/a\"]", &["`compression` does not fit"]),
        ("path = \"x.parquet\"", &["written into a folder"]),
        ("path = \"x\"\nformat = \"parquet\"\ncompression = \"gzip\"\nrow_group_bytes = \"0B\"", &["\"gzip\"", "1 to"]),
        ("path = \"x\"\ncompression = \"snappy\"", &["\"snappy\""]),
        ("path = \"x\"\nformat = \"parquet\"\ncolumns = [\"/a\", \"/b/a: s64\"]", &["two are called `a`"]),
        (
            "path = \"x\"\nformat = \"parquet\"\ncolumns = []\nroll_bytes = \"1 GiB\"",
            &["there is none", "`roll_bytes`"],
        ),
        ("path = \"x\"\nprefix = \"dt={+%Y}\"", &["must end in `/`"]),
        ("path = \"x\"\nprefix = \"../{zone}/\"", &["`..` is no name"]),
        ("path = \"x.jsonl\"\nprefix = \"a/\"", &["one file has no `prefix`"]),
    ] {
        let found = problems("file", settings);
        assert_eq!(found.len(), expected.len(), "{settings}: {found:?}");
        assert!(
            expected.iter().all(|part| found.iter().any(|message| message.contains(part))),
            "{settings}: {found:?}"
        );
    }
}
