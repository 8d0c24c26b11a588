//! Turns CSV records into JSON objects, one field per column of the header.
//!
//! A cell that is a number in JSON and at most 24 characters long becomes that number, exactly as written; an empty cell
//! becomes null; every other cell becomes a string. `columns` overrides that for columns where a guess per cell would be
//! wrong. A record with more or fewer cells than the header becomes an array of strings: it is no object, so it is rejected
//! and counted where it is first decoded, with its line.

use crate::lines::{BLOCK, RECORD_LIMIT, Run, Runs};
use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use serde_json::Number;
use std::collections::BTreeMap;
use std::io::{self, Read};
use wasmill_stream::{Error, Result};

/// Longer digits are an identifier: no JSON reader keeps their value.
const LONGEST_NUMBER: usize = 24;

/// What the cells of a column become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A number if it is one, else a string.
    #[default]
    Auto,
    /// A string, whatever it looks like.
    String,
    /// `true` and `false` in any case become booleans, all else strings.
    Bool,
}

/// Reads records under a header line.
pub struct CsvReader<R> {
    reader: csv::Reader<Capped<R>>,
    columns: Vec<Column>,
    record: StringRecord,
    /// Met while there were records to hand over first.
    failure: Option<Error>,
}

struct Column {
    /// How its field begins: `,"name":`, or with a brace if it is the first.
    opening: Vec<u8>,
    kind: Kind,
}

impl<R: Read> CsvReader<R> {
    /// Reads the header.
    pub fn open(input: R, kinds: &BTreeMap<String, Kind>) -> Result<Self> {
        let capped = Capped { input, left: RECORD_LIMIT };
        let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::Headers).from_reader(capped);
        let columns = columns(reader.headers().map_err(|error| failed(1, error))?, kinds)?;
        Ok(Self { reader, columns, record: StringRecord::new(), failure: None })
    }

    /// The next records as JSON; none at the end. What was read before a failure is handed over before the failure.
    pub fn read(&mut self) -> Result<Vec<Run>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let mut json = Vec::with_capacity(BLOCK);
        let mut runs = Runs::default();
        while json.len() < BLOCK {
            let start = json.len();
            match self.read_record(&mut json) {
                Ok(Some(line)) => runs.push(line, start, json.len()),
                Ok(None) => break,
                Err(failure) if start == 0 => return Err(failure),
                Err(failure) => {
                    self.failure = Some(failure);
                    break;
                }
            }
        }
        runs.finish(json.into())
    }

    /// Appends the next record and returns its line.
    fn read_record(&mut self, json: &mut Vec<u8>) -> Result<Option<u64>> {
        self.reader.get_mut().left = RECORD_LIMIT;
        let before = self.reader.position().line();
        if !self.reader.read_record(&mut self.record).map_err(|error| failed(before, error))? {
            return Ok(None);
        }
        if self.record.len() == self.columns.len() {
            for (column, cell) in self.columns.iter().zip(&self.record) {
                json.extend_from_slice(&column.opening);
                write_cell(cell, column.kind, json)?;
            }
            json.push(b'}');
        } else {
            for (at, cell) in self.record.iter().enumerate() {
                json.push(if at == 0 { b'[' } else { b',' });
                write_text(cell, json)?;
            }
            json.push(b']');
        }
        Ok(Some(self.record.position().map_or(before, csv::Position::line)))
    }
}

fn columns(header: &StringRecord, kinds: &BTreeMap<String, Kind>) -> Result<Vec<Column>> {
    if let Some(unknown) = kinds.keys().find(|name| !header.iter().any(|column| column == *name)) {
        let header = header.iter().collect::<Vec<_>>().join(", ");
        return Err(Error::invalid(format!("`columns` names `{unknown}`, but the header has {header}")));
    }
    let mut columns = Vec::with_capacity(header.len());
    for (at, name) in header.iter().enumerate() {
        if header.iter().take(at).any(|earlier| earlier == name) {
            return Err(Error::invalid(format!("the header has two columns `{name}`")));
        }
        let mut opening = vec![if at == 0 { b'{' } else { b',' }];
        write_text(name, &mut opening)?;
        opening.push(b':');
        columns.push(Column { opening, kind: kinds.get(name).copied().unwrap_or_default() });
    }
    Ok(columns)
}

fn write_cell(cell: &str, kind: Kind, json: &mut Vec<u8>) -> Result<()> {
    let literal = match kind {
        _ if cell.is_empty() => Some("null"),
        Kind::Auto => is_number(cell).then_some(cell),
        Kind::String => None,
        Kind::Bool => ["true", "false"].into_iter().find(|literal| literal.eq_ignore_ascii_case(cell)),
    };
    match literal {
        Some(literal) => json.extend_from_slice(literal.as_bytes()),
        None => write_text(cell, json)?,
    }
    Ok(())
}

fn is_number(cell: &str) -> bool {
    let plausible = cell.len() <= LONGEST_NUMBER && cell.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    plausible && !cell.ends_with(|c: char| c.is_ascii_whitespace()) && serde_json::from_str::<Number>(cell).is_ok()
}

fn write_text(text: &str, json: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(json, text).map_err(|error| Error::invalid("write a cell").with_source(error))
}

fn failed(line: u64, error: csv::Error) -> Error {
    match error.into_kind() {
        ErrorKind::Utf8 { pos, .. } => {
            let line = pos.map_or(line, |pos| pos.line());
            Error::invalid(format!("line {line} is not UTF-8: convert the file first"))
        }
        ErrorKind::Io(error) => Error::invalid(format!("record of line {line}")).with_source(error),
        other => Error::invalid(format!("record of line {line}: {other:?}")),
    }
}

/// Ends a record that goes on for too long, as all that follows a forgotten quote does.
struct Capped<R> {
    input: R,
    left: usize,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("it is longer than 1 MiB: is a quote missing?"));
        }
        let read = self.input.read(buffer)?;
        self.left = self.left.saturating_sub(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(text: impl AsRef<[u8]>, kinds: &[(&str, Kind)]) -> Result<Vec<(u64, String)>> {
        let kinds = kinds.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        let mut reader = CsvReader::open(text.as_ref(), &kinds)?;
        let mut records = Vec::new();
        loop {
            let runs = reader.read()?;
            if runs.is_empty() {
                return Ok(records);
            }
            for run in runs {
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                records.extend((run.first..).zip(run.values.iter().map(text)));
            }
        }
    }

    /// Numbers stay as they are written, identifiers made of digits and everything else are strings, empty is null.
    #[test]
    fn cells_become_json() {
        let text = "id, n ,s\n007,-1.50,\"a \"\"b\"\"\n\"\n,9e-05,12345678901234567890123456789012\n";
        let expected = [
            (2, r#"{"id":"007","n":-1.50,"s":"a \"b\"\n"}"#.to_owned()),
            (4, r#"{"id":null,"n":9e-05,"s":"12345678901234567890123456789012"}"#.to_owned()),
        ];
        assert_eq!(convert(text, &[]).expect("valid CSV"), expected);
    }

    /// `columns` decides over the guess; naming a column that is not there is an error.
    #[test]
    fn columns_override() {
        let text = "zip,open\n10001,TRUE\n";
        let converted = convert(text, &[("zip", Kind::String), ("open", Kind::Bool)]).expect("valid CSV");
        assert_eq!(converted, [(2, r#"{"zip":"10001","open":true}"#.to_owned())]);
        let error = convert(text, &[("zap", Kind::String)]).expect_err("no such column");
        assert!(error.to_string().contains("`zap`"), "{error}");
    }

    /// A record with a cell too many or too few is handed on as an array and leaves its neighbours alone.
    #[test]
    fn odd_record_is_no_object() {
        let converted = convert("a,b\n1,2\n1\n1,2,3\n3,4\n", &[]).expect("valid CSV");
        let records: Vec<_> = converted.iter().map(|(_, record)| record.as_str()).collect();
        assert_eq!(records, [r#"{"a":1,"b":2}"#, r#"["1"]"#, r#"["1","2","3"]"#, r#"{"a":3,"b":4}"#]);
    }

    /// Text in another encoding, a forgotten quote and a doubled column are errors that name their line or column.
    #[test]
    fn errors_name_the_place() {
        let latin = convert(b"a,b\n1,2\n3,caf\xE9\n", &[]).expect_err("Latin-1");
        assert!(latin.report().contains("line 3 is not UTF-8"), "{}", latin.report());
        let open_quote = format!("a\n1\n\"{}", "x\n".repeat(RECORD_LIMIT));
        let endless = convert(open_quote, &[]).expect_err("endless record");
        assert!(endless.report().contains("line 3"), "{}", endless.report());
        let twice = convert("a,a\n", &[]).expect_err("doubled column");
        assert!(twice.to_string().contains("two columns `a`"), "{twice}");
    }
}
