//! Partitions: what names of files and keys of objects begin with, by the event time and by fields of a row, as in
//! `rides/dt={+%Y-%m-%d}/zone={/pickup/zone}/`. What a row says cannot lead anywhere else: each value is a part of one name,
//! escaped as Hive does it.

mod escape;

use crate::format::columns::{ColumnSpec, Read};
use crate::time_pattern::{STEP_MILLIS, TimePattern};

/// A checked pattern.
#[derive(Debug, Clone, Default)]
pub struct Partitions {
    pieces: Vec<Piece>,
    fields: Vec<ColumnSpec>,
}

#[derive(Debug, Clone)]
enum Piece {
    /// Text, with times in it.
    Text(TimePattern),
    /// The value of a field, by its number.
    Field(usize),
}

impl Partitions {
    /// Reads a pattern: text, `{+…}` with `%Y`, `%m`, `%d` and `%H` inside, and `{NAME}` or `{/pointer}`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut partitions = Self::default();
        let (mut text, mut rest) = (text, text);
        // Text and times up to the next field.
        while let Some(at) = rest.find('{') {
            let inside = &rest[at + 1..];
            let end = inside.find('}').ok_or_else(|| format!("`{{{inside}` has no closing brace"))?;
            rest = &inside[end + 1..];
            if !inside.starts_with('+') {
                let before = &text[..text.len() - inside.len() - 1];
                partitions.push_text(before)?;
                partitions.push_field(&inside[..end])?;
                text = rest;
            }
        }
        partitions.push_text(text)?;
        partitions.check_segments()?;
        Ok(partitions)
    }

    fn push_text(&mut self, text: &str) -> Result<(), String> {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(TimePattern::parse(text)?));
        }
        Ok(())
    }

    fn push_field(&mut self, inside: &str) -> Result<(), String> {
        let inside = inside.trim();
        if inside.is_empty() {
            return Err("`{}` names no field".to_owned());
        }
        let pointer = match inside.starts_with('/') {
            true => inside.to_owned(),
            false => format!("/{}", inside.replace('~', "~0").replace('/', "~1")),
        };
        self.pieces.push(Piece::Field(self.fields.len()));
        self.fields.push(ColumnSpec::untyped(inside.to_owned(), &pointer)?);
        Ok(())
    }

    /// No names that lead somewhere else.
    fn check_segments(&self) -> Result<(), String> {
        let sample = self.covering("x");
        let folders = sample.strip_suffix('/').unwrap_or(&sample).split('/');
        match folders.into_iter().find(|name| matches!(*name, "." | "..") || (name.is_empty() && !sample.is_empty())) {
            Some(name) => Err(format!("`{name}` is no name of a folder")),
            None => Ok(()),
        }
    }

    /// The fields that it asks for, as columns.
    pub fn fields(&self) -> &[ColumnSpec] {
        &self.fields
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// What it is at a time, with `wildcard` for all fields.
    fn covering(&self, wildcard: &str) -> String {
        self.joined(|piece| match piece {
            Piece::Text(text) => text.covering(wildcard),
            Piece::Field(_) => wildcard.to_owned(),
        })
    }

    /// What all of its names begin with.
    pub fn head(&self) -> String {
        self.covering("*").split('*').next().unwrap_or_default().to_owned()
    }

    fn joined(&self, text: impl Fn(&Piece) -> String) -> String {
        self.pieces.iter().map(text).collect()
    }
}

/// Names the partitions of rows of one batch.
pub struct Namer<'p> {
    partitions: &'p Partitions,
    /// The hour of the times, and the texts of all pieces at that hour.
    hour: Option<i64>,
    texts: Vec<String>,
}

impl<'p> Namer<'p> {
    /// By this pattern.
    pub fn new(partitions: &'p Partitions) -> Self {
        Self { partitions, hour: None, texts: vec![String::new(); partitions.pieces.len()] }
    }

    /// Writes what the names of a row begin with. `read` has the fields behind so many other columns. An error says why the row
    /// has no place.
    pub fn write(
        &mut self,
        time: i64,
        fields: Option<(&Read<'_>, usize)>,
        row: usize,
        name: &mut String,
    ) -> Result<(), String> {
        let hour = time.div_euclid(STEP_MILLIS);
        if self.hour.replace(hour) != Some(hour) {
            for (piece, at) in self.partitions.pieces.iter().zip(&mut self.texts) {
                if let Piece::Text(pattern) = piece {
                    *at = pattern.at(time);
                }
            }
        }
        name.clear();
        for (piece, text) in self.partitions.pieces.iter().zip(&self.texts) {
            match (piece, fields) {
                (Piece::Field(number), Some((read, before))) => {
                    let field = || self.partitions.fields[*number].name.as_str();
                    let value = read.cell(before + number, row)?;
                    escape::append(value, name).map_err(|message| format!("field `{}` {message}", field()))?;
                }
                _ => name.push_str(text),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::columns::Reader;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use wasmill_stream::Binary;

    /// What the rows' names begin with, or why they have none.
    fn names(pattern: &str, time: i64, rows: &[String]) -> Vec<Result<String, String>> {
        let partitions = Partitions::parse(pattern).expect(pattern);
        let values: Binary = rows.iter().collect();
        let mut reader = Reader::new(partitions.fields().to_vec());
        let read = reader.read(&values);
        let mut namer = Namer::new(&partitions);
        let name = |row| {
            let mut name = "before".to_owned();
            namer.write(time, Some((&read, 0)), row, &mut name).map(|()| name)
        };
        (0..rows.len()).map(name).collect()
    }

    /// Times, fields and nested fields make names; null, nothing and an empty text are one partition; what has no text, or
    /// too much, has no place.
    #[test]
    fn rows_have_names() {
        let rows = [
            r#"{"zone":"Midtown East","n":{"a":1.50}}"#,
            r#"{"zone":null,"n":{"a":true}}"#,
            r#"{"zone":"","n":{}}"#,
            r#"{"zone":"../../etc","n":{"a":".."}}"#,
            r#"{"zone":{"a":1}}"#,
        ];
        let named = names("rides/dt={+%Y-%m-%d}/zone={zone}/{/n/a}/", 1_357_000_200_000, &rows.map(str::to_owned));
        let none = "__HIVE_DEFAULT_PARTITION__";
        let expected = [
            "rides/dt=2013-01-01/zone=Midtown%20East/1.50/".to_owned(),
            format!("rides/dt=2013-01-01/zone={none}/true/"),
            format!("rides/dt=2013-01-01/zone={none}/{none}/"),
            "rides/dt=2013-01-01/zone=%2E.%2F..%2Fetc/%2E./".to_owned(),
        ];
        assert_eq!(named[..4], expected.map(Ok));
        assert_eq!(named[4], Err("field `zone` is no plain value".to_owned()));
        let long = format!("{{\"zone\":\"{}\"}}", "é".repeat(40));
        let error = names("{zone}", 0, &[long]).remove(0).expect_err("too long");
        assert!(error.contains("`zone`") && error.contains("240"), "{error}");
    }

    /// What all names have in common, and patterns that are mistakes.
    #[test]
    fn patterns() {
        let head = |pattern: &str| Partitions::parse(pattern).map(|partitions| partitions.head());
        assert_eq!(head("a/b-{+%Y}/z={zone}/"), Ok("a/b-".to_owned()));
        assert_eq!(head("a/{zone}-{+%Y}"), Ok("a/".to_owned()));
        assert_eq!(head("raw/100%"), Ok("raw/100%".to_owned()));
        for pattern in ["{", "{zone", "{}", "{ }", "a//b", "/a", "../{zone}/", "{zone}/../", "a/./", "{+%q}", "{/a~2}"]
        {
            assert!(Partitions::parse(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        /// Any text at all stays one part of one name, and no two texts share it.
        #[test]
        fn no_row_leaves_its_folder(a in any::<String>(), b in any::<String>()) {
            let row = |zone: &str| serde_json::json!({ "zone": zone }).to_string();
            for pattern in ["{zone}/", "z={zone}/"] {
                let named = names(pattern, 0, &[row(&a), row(&b)]);
                for name in named.iter().flatten() {
                    let folder = name.strip_suffix('/').expect("a folder");
                    prop_assert!(!folder.is_empty() && !folder.contains('/') && folder.len() < 240, "{}", name);
                    prop_assert!(!folder.starts_with('.') && folder.bytes().all(|byte| byte.is_ascii_graphic()), "{}", name);
                    object_store::path::Path::parse(name).expect("a key");
                }
                if let [Ok(one), Ok(other)] = &named[..] {
                    prop_assert_eq!(a == b, one == other);
                }
            }
        }
    }
}
