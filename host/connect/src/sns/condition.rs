//! Which rows are worth a message: conditions such as `/severity = "high"` or `/level >= 3`, all of which have to hold.

use crate::format::columns::{Cell, Read};
use crate::template::{Fields, text};
use serde_json::Value;
use std::cmp::Ordering;

/// A condition on a field.
#[derive(Debug, Clone)]
pub struct Condition {
    field: usize,
    relation: Relation,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Is,
    IsNot,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// As they are written, those first that others begin like.
const RELATIONS: [(&str, Relation); 6] = [
    ("!=", Relation::IsNot),
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Less),
    (">", Relation::Greater),
    ("=", Relation::Is),
];

impl Condition {
    /// How one is written.
    pub const EXPECTED: &str = "write it like \"/severity = \\\"high\\\"\", \"/level >= 3\" or \"/test != true\": a field, one of = != < <= > >=, \
         and a text in quotes, a number, true, false or null";

    /// Reads one, or says what is wrong with it.
    pub fn parse(text: &str, fields: &mut Fields) -> Result<Self, String> {
        // A pointer has no spaces around it; what it contains stands before the first one.
        let (pointer, rest) = text.trim().split_once(' ').ok_or_else(|| format!("\"{text}\" is no condition"))?;
        let rest = rest.trim_start();
        let found = RELATIONS.iter().find_map(|(sign, relation)| Some((*relation, rest.strip_prefix(sign)?)));
        let (relation, value) = found.ok_or_else(|| format!("\"{text}\" has no relation"))?;
        let value: Value =
            serde_json::from_str(value.trim()).map_err(|_| format!("\"{}\" is no value", value.trim()))?;
        let is_plain = !matches!(value, Value::Array(_) | Value::Object(_));
        let is_ordered = value.is_number() || value.is_string();
        if !is_plain || !(is_ordered || matches!(relation, Relation::Is | Relation::IsNot)) {
            return Err(format!("\"{text}\" compares what has no order"));
        }
        Ok(Self { field: fields.number(pointer)?, relation, value })
    }

    /// Whether it holds for a row. Values of different kinds are different, and neither is greater.
    pub fn holds(&self, row: usize, read: &Read<'_>) -> Result<bool, String> {
        let order = self.compare(read.cell(self.field, row)?);
        Ok(match self.relation {
            Relation::Is => order == Some(Ordering::Equal),
            Relation::IsNot => order != Some(Ordering::Equal),
            Relation::Less => order == Some(Ordering::Less),
            Relation::AtMost => order.is_some_and(Ordering::is_le),
            Relation::Greater => order == Some(Ordering::Greater),
            Relation::AtLeast => order.is_some_and(Ordering::is_ge),
        })
    }

    fn compare(&self, cell: Cell<'_>) -> Option<Ordering> {
        match (&self.value, cell) {
            (Value::Null, Cell::Null) => Some(Ordering::Equal),
            (Value::String(wanted), cell @ Cell::Text(_)) => Some(text(cell)?.as_ref().cmp(wanted.as_str())),
            (Value::Number(wanted), Cell::Json(json)) => {
                let found: f64 = serde_json::from_slice(json).ok()?;
                found.partial_cmp(&wanted.as_f64()?)
            }
            (Value::Bool(wanted), Cell::Json(json)) => {
                let found: bool = serde_json::from_slice(json).ok()?;
                (found == *wanted).then_some(Ordering::Equal)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::columns::Reader;
    use wasmill_stream::Binary;

    /// Each relation on each kind of value; other kinds and missing fields are different, and neither greater nor less.
    #[test]
    fn relations() {
        let values: Binary = [r#"{"s":"high","n":3,"b":true,"z":null}"#].into_iter().collect();
        let holds = |text: &str| {
            let mut fields = Fields::default();
            let condition = Condition::parse(text, &mut fields).expect(text);
            let mut reader = Reader::new(fields.columns);
            condition.holds(0, &reader.read(&values)).expect("a row")
        };
        for text in [
            "/s = \"high\"",
            "/s != \"low\"",
            "/s > \"a\"",
            "/n >= 3",
            "/n <= 3.0",
            "/n < 3.5",
            "/n > -1",
            "/n != \"3\"",
            "/b = true",
            "/b != false",
            "/z = null",
            "/none = null",
            "/none != 1",
            "/s != null",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "/s = \"low\"",
            "/n = 4",
            "/n < 3",
            "/n > 3",
            "/n = \"3\"",
            "/b = false",
            "/none = 1",
            "/none < 1",
            "/s < 1",
        ] {
            assert!(!holds(text), "{text}");
        }
        for text in ["/s", "/s ~ 1", "/s = high", "/s > true", "/s = [1]", "s = 1", "/s = "] {
            assert!(Condition::parse(text, &mut Fields::default()).is_err(), "{text}");
        }
    }
}
