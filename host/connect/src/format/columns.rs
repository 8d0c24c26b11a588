//! Columns of rows: how they are declared, and reading them out of batches. A column with a type takes nothing else; one
//! without takes any value as text.

mod read;

pub use read::{Cell, Read, Reader};

use std::collections::BTreeSet;
use std::str::FromStr;
use wasmill_stream::config::{Place, Problems, Section};
use wasmill_stream::field::FieldSpec;

/// A column, written `[NAME = ]POINTER[|POINTER…][: TYPE[?]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSpec {
    /// What it is called: if nobody says so, like the member that its first pointer leads to.
    pub name: String,
    /// Where its value is, and of which type. Any text may be there if there is no type.
    pub field: FieldSpec,
    /// Whether a type was declared.
    pub is_typed: bool,
}

impl ColumnSpec {
    /// A column of any values at a place.
    pub fn untyped(name: String, pointers: &str) -> Result<Self, String> {
        let field =
            format!("{pointers}: string?").parse().map_err(|message: String| message.replace(": string?", ""))?;
        Ok(Self { name, field, is_typed: false })
    }
}

impl FromStr for ColumnSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = match text.trim_start().strip_prefix('/') {
            Some(_) => (None, text),
            None => text.split_once('=').map_or((None, text), |(name, rest)| (Some(name.trim()), rest)),
        };
        // A pointer with a colon in it needs a type behind it.
        let column = match rest.contains(':') {
            true => Self { name: String::new(), field: rest.trim().parse()?, is_typed: true },
            false => Self::untyped(String::new(), rest.trim())?,
        };
        let last = column.field.pointers.first().and_then(|pointer| pointer.last());
        let name = name.or(last.map(String::as_str)).unwrap_or_default().to_owned();
        match name.is_empty() {
            true => Err(format!("column `{text}` has no name: write it like `name = /pointer: type`")),
            false => Ok(Self { name, ..column }),
        }
    }
}

/// Reads `columns`, each with another name.
pub fn check(section: &mut Section<'_>, problems: &mut Problems) -> Option<(Vec<ColumnSpec>, Place)> {
    let (texts, place) = section.located::<Vec<String>>("columns", problems)?;
    let mut columns: Vec<ColumnSpec> = Vec::new();
    let mut names = BTreeSet::new();
    let mut refuse = |message: String| {
        let message = format!("{}: `columns`: {message}", section.title());
        problems.push_hint(
            place.clone(),
            message,
            "write them like [\"/pickup_datetime: time\", \"fare = /fare_amount: f64?\"]",
        );
    };
    if texts.is_empty() {
        refuse("there is none".to_owned());
    }
    for text in texts {
        match text.parse::<ColumnSpec>() {
            Ok(column) if !names.insert(column.name.clone()) => refuse(format!("two are called `{}`", column.name)),
            Ok(column) => columns.push(column),
            Err(message) => refuse(message),
        }
    }
    Some((columns, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A column is called like what it holds or as it is declared; a type is optional; what is no declaration says why.
    #[test]
    fn declarations() {
        let read = |text: &str| {
            text.parse::<ColumnSpec>().map(|column| (column.name, column.field.to_string(), column.is_typed))
        };
        let declared = |name: &str, field: &str, is_typed| Ok((name.to_owned(), field.to_owned(), is_typed));
        assert_eq!(read("/fare: f64?"), declared("fare", "/fare: f64?", true));
        assert_eq!(read("/cell/id"), declared("id", "/cell/id: string?", false));
        assert_eq!(read("paid at = /a|/b: time"), declared("paid at", "/a|/b: time", true));
        assert_eq!(read("x = /y=z"), declared("x", "/y=z: string?", false));
        for (text, expected) in [
            ("fare: f64", "`fare` must start with `/`"),
            ("fare", "`fare` must start with `/`"),
            ("/a: i64", "did you mean `s64`?"),
            ("= /a", "has no name"),
            ("/", "has no name"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(expected) && !error.contains("string?"), "{text}: {error}");
        }
    }
}
