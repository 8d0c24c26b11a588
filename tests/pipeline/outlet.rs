//! Where rows of the job go, as data: a kind of sink, what the job file says about it, and how its rows are found again.

use super::files;
use super::sightings::Piece;
use crate::harness::bucket::Bucket;
use crate::harness::cells;
use crate::harness::data::json_lines;
use crate::harness::kinesis::ACCESS;
use crate::harness::parquet_rows;
use crate::harness::search::Search;
use crate::oracle::calendar;
use crate::oracle::deviation::Alert;
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the job has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Rows as they were read.
    Raw,
    /// Results of windows.
    Averages,
    /// Rows of a process.
    Alerts,
}

/// A kind of sink.
pub enum Outlet {
    /// A folder of parts.
    Folder,
    /// One file.
    File,
    /// Objects, written through `url`.
    Objects { url: String, bucket: Bucket },
    /// Files of Parquet in partitions of a folder.
    Lake,
    /// Objects of Parquet in partitions, written through `url`.
    LakeObjects { url: String, bucket: Bucket },
    /// A folder of CSV.
    Table,
    /// Objects of CSV, written through `url`.
    TableObjects { url: String, bucket: Bucket },
    /// Documents, written through `url`.
    Index { url: String, search: Arc<Search> },
}

/// The partitions of a lake: some hours of few keys.
const LAKE: &str = "at={+%Y-%m-%d-%H}/key={key}/";

impl Stream {
    const ALL: [Self; 3] = [Self::Raw, Self::Averages, Self::Alerts];

    /// The node that it comes from.
    fn node(self) -> &'static str {
        match self {
            Self::Raw => "rows",
            Self::Averages => "averages",
            Self::Alerts => "alerts",
        }
    }

    /// The columns of a table with it. What a version calls otherwise by mistake has a column of its own.
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Raw => &[],
            Self::Averages => &["cell_lon", "cell_lat", "count", "average", "avarage", "window_start", "window_end"],
            Self::Alerts => &["key", "time", "value", "count", "mean"],
        }
    }

    /// What lines say, without what may differ between runs of the same answer.
    pub fn facts(self, lines: &[String]) -> Vec<String> {
        match self {
            Self::Raw => lines.to_vec(),
            Self::Averages => {
                json_lines(&lines.join("\n")).iter().map(|row| format!("{:?}", cells::result(row))).collect()
            }
            Self::Alerts => json_lines(&lines.join("\n")).iter().map(|row| alert_fact(&alert(row))).collect(),
        }
    }
}

fn alert(row: &Value) -> Alert {
    Alert {
        key: row["key"].as_str().expect("text").to_owned(),
        time: row["time"].as_str().and_then(calendar::millis).expect("a time"),
        value: row["value"].as_f64().expect("a number"),
        count: row["count"].as_u64().expect("a number"),
        mean: row["mean"].as_f64().expect("a number"),
    }
}

/// The mean to six digits: both sides sum in another order.
pub fn alert_fact(alert: &Alert) -> String {
    let Alert { key, time, value, count, mean } = alert;
    format!("{key} {time} {value} {count} {}", (mean * 1e6 + 0.123_456_7).floor())
}

impl Outlet {
    /// What goes there. Alerts have no id that the tests could know; some of the rows as they were read are no JSON that would
    /// come back byte by byte out of columns.
    pub fn streams(&self) -> &'static [Stream] {
        match self {
            Self::Folder | Self::File | Self::Objects { .. } => &Stream::ALL,
            Self::Index { .. } => &Stream::ALL[..2],
            Self::Lake | Self::LakeObjects { .. } | Self::Table | Self::TableObjects { .. } => &Stream::ALL[1..],
        }
    }

    /// The tables of the job file. `roll`: how old the parts in a folder become.
    pub fn tables(&self, dir: &str, roll: &str) -> String {
        let table = |stream: &Stream| {
            let node = stream.node();
            let settings = match self {
                Self::Folder => format!("type = \"file\"\npath = \"{dir}/{node}\"\nroll_interval = \"{roll}\""),
                Self::File => format!("type = \"file\"\npath = \"{dir}/{node}.jsonl\""),
                Self::Objects { url, bucket } => {
                    let place = format!("endpoint = \"{url}\"\nbucket = \"{}\"\nprefix = \"{node}/\"", bucket.name);
                    format!("type = \"s3\"\nobject_bytes = \"64 KiB\"\n{place}\n{ACCESS}")
                }
                Self::Lake => {
                    let place = format!("path = \"{dir}/lake\"\nprefix = \"{node}/{LAKE}\"");
                    format!(
                        "type = \"file\"\nformat = \"parquet\"\nroll_bytes = \"16 KiB\"\n{place}\nroll_interval = \"{roll}\""
                    )
                }
                Self::LakeObjects { url, bucket } => {
                    let place =
                        format!("endpoint = \"{url}\"\nbucket = \"{}\"\nprefix = \"lake-{node}/{LAKE}\"", bucket.name);
                    format!("type = \"s3\"\nformat = \"parquet\"\nobject_bytes = \"16 KiB\"\n{place}\n{ACCESS}")
                }
                Self::Table => {
                    let columns = columns(*stream);
                    format!("type = \"file\"\npath = \"{dir}/table-{node}\"\n{columns}\nroll_interval = \"{roll}\"")
                }
                Self::TableObjects { url, bucket } => {
                    let columns = columns(*stream);
                    let place =
                        format!("endpoint = \"{url}\"\nbucket = \"{}\"\nprefix = \"table-{node}/\"", bucket.name);
                    format!("type = \"s3\"\nobject_bytes = \"16 KiB\"\n{columns}\n{place}\n{ACCESS}")
                }
                Self::Index { url, .. } => {
                    let batches = "batch_rows = 200\nflush_interval = \"50ms\"";
                    format!("type = \"opensearch\"\nendpoint = \"{url}\"\nindex = \"{node}\"\n{batches}")
                }
            };
            format!("\n[sink.{self}_{node}]\ninput = \"{node}\"\n{settings}\n")
        };
        self.streams().iter().map(table).collect()
    }

    /// All rows that are visible there, and of how many files or objects.
    pub fn lines(&self, dir: &Path, stream: Stream) -> (Vec<String>, usize) {
        let pieces = self.pieces(dir, stream, &|_, _| false);
        let lines = pieces.iter().filter_map(|piece| piece.text.as_deref()).flat_map(str::lines);
        (lines.map(str::to_owned).collect(), pieces.len())
    }

    /// All files, objects or documents that are visible there. Objects that are known by key and tag are not fetched again:
    /// their server says that they are the same.
    pub fn pieces(&self, dir: &Path, stream: Stream, knows: &dyn Fn(&str, &str) -> bool) -> Vec<Piece> {
        let node = stream.node();
        let file = |path: &Path| {
            let text = fs::read_to_string(path).ok();
            text.map(|text| Piece { name: path.display().to_string(), tag: String::new(), text: Some(text) })
        };
        match self {
            Self::Folder => complete(&dir.join(node), "jsonl").map(|path| file(&path).expect("whole rows")).collect(),
            Self::Table => {
                let tables = complete(&dir.join(format!("table-{node}")), "csv");
                let piece = tables.map(|path| file(&path).expect("whole rows"));
                piece.map(|piece| Piece { text: piece.text.map(|text| rows_of(&text, stream)), ..piece }).collect()
            }
            Self::File => file(&dir.join(format!("{node}.jsonl"))).into_iter().collect(),
            Self::Lake => {
                let mut pieces = Vec::new();
                files(&dir.join("lake").join(node), &mut |path| {
                    let bytes = fs::read(path).expect("whole rows");
                    let name = path.display().to_string();
                    // A name comes once, and its file never changes.
                    let text = (!knows(&name, "whole")).then(|| parquet_rows::lines(bytes));
                    pieces.push(Piece { name, tag: "whole".to_owned(), text });
                });
                pieces
            }
            Self::Objects { bucket, .. } | Self::LakeObjects { bucket, .. } | Self::TableObjects { bucket, .. } => {
                let head = match self {
                    Self::LakeObjects { .. } => "lake-",
                    Self::TableObjects { .. } => "table-",
                    _ => "",
                };
                let listed = bucket.list(&format!("{head}{node}/")).into_iter();
                let text = |bytes| String::from_utf8(bytes).expect("text");
                let fetch = |key: &str| {
                    let bytes = bucket.object(&key.replace('%', "%25")).expect("it is listed");
                    match self {
                        Self::LakeObjects { .. } => parquet_rows::lines(bytes),
                        Self::TableObjects { .. } => rows_of(&text(bytes), stream),
                        _ => text(bytes),
                    }
                };
                listed
                    .map(|(key, tag)| {
                        let text = (!knows(&key, &tag)).then(|| fetch(&key));
                        Piece { name: key, tag, text }
                    })
                    .collect()
            }
            Self::Index { search, .. } => {
                let documents = search.documents(node).into_iter();
                documents.map(|(name, text)| Piece { name, tag: String::new(), text: Some(text) }).collect()
            }
        }
    }

    /// Ids with documents as lines, if there are ids.
    pub fn documents(&self, stream: Stream) -> Option<Vec<String>> {
        let Self::Index { search, .. } = self else { return None };
        let documents = search.documents(stream.node()).into_iter();
        Some(
            documents
                .flat_map(|(id, document)| {
                    stream.facts(&[document]).into_iter().map(move |fact| format!("{id} → {fact}"))
                })
                .collect(),
        )
    }

    /// The bucket, if it is one.
    pub fn bucket(&self) -> Option<&Bucket> {
        match self {
            Self::Objects { bucket, .. } | Self::LakeObjects { bucket, .. } | Self::TableObjects { bucket, .. } => {
                Some(bucket)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "folder",
            Self::File => "file",
            Self::Objects { .. } => "objects",
            Self::Lake => "lake",
            Self::LakeObjects { .. } => "lake_objects",
            Self::Table => "table",
            Self::TableObjects { .. } => "table_objects",
            Self::Index { .. } => "index",
        })
    }
}

/// The files of a folder that are complete.
fn complete(folder: &Path, ending: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let ending = OsString::from(ending);
    entries.filter(move |path| path.extension() == Some(&ending))
}

/// The setting for the columns of a table.
fn columns(stream: Stream) -> String {
    let columns: Vec<_> = stream.columns().iter().map(|name| format!("/{name}")).collect();
    format!("format = \"csv\"\ncolumns = {columns:?}")
}

/// The rows of a table as JSON lines; it must be whole. None of the values has to be quoted.
fn rows_of(text: &str, stream: Stream) -> String {
    let mut lines = text.lines();
    assert!(text.ends_with('\n') && !text.contains('"'), "whole lines of plain values: {text}");
    assert_eq!(lines.next(), Some(stream.columns().join(",").as_str()), "each has its header, once");
    let row = |line: &str| {
        let cells = line.split(',').zip(stream.columns()).filter(|(cell, _)| !cell.is_empty());
        let value = |cell: &str| cell.parse().map_or_else(|_| Value::from(cell), Value::Number);
        let row: Map<_, _> = cells.map(|(cell, name)| ((*name).to_owned(), value(cell))).collect();
        Value::Object(row).to_string() + "\n"
    };
    lines.map(row).collect()
}
