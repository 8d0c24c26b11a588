//! Texts with fields of a row in them: `{/station} reports {/pm25}` in the settings of a sink. Any other brace stands for
//! itself.

use crate::format::columns::{Cell, ColumnSpec, Read};
use std::borrow::Cow;
use wasmill_stream::Batch;
use wasmill_stream::config::{Place, Problems, Section};
use wasmill_stream::time::iso8601;

/// Fields that a sink reads, each once.
#[derive(Debug, Default, Clone)]
pub struct Fields {
    /// As columns without types.
    pub columns: Vec<ColumnSpec>,
}

impl Fields {
    /// The number of a field, by its pointer or several of them.
    pub fn number(&mut self, pointers: &str) -> Result<usize, String> {
        let column = ColumnSpec::untyped(pointers.to_owned(), pointers)?;
        let there = self.columns.iter().position(|one| one.name == column.name);
        Ok(there.unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        }))
    }

    /// The number of the field that a setting names.
    pub fn check(&mut self, key: &'static str, section: &mut Section<'_>, problems: &mut Problems) -> Option<usize> {
        let (pointer, place) = section.located::<String>(key, problems)?;
        match self.number(&pointer) {
            Ok(number) => Some(number),
            Err(message) => {
                let message = format!("{}: `{key}`: {message}", section.title());
                problems.push_hint(place, message, "write it like \"/user/id\", without a type");
                None
            }
        }
    }
}

/// The text of a value; `None`: there is none.
pub fn text(cell: Cell<'_>) -> Option<Cow<'_, str>> {
    match cell {
        Cell::Text(text) | Cell::Json(text) => Some(String::from_utf8_lossy(text)),
        // Columns without types have nothing else.
        Cell::Null | Cell::Bool(_) | Cell::Int(_) | Cell::Float(_) | Cell::Time(_) => None,
    }
}

/// A checked text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The event time.
    Time,
    /// The key of the row.
    Key,
    /// A field by its number, as it was written, and whether a row may lack it.
    Field(usize, String, bool),
}

impl Template {
    /// Reads a setting.
    pub fn check(
        key: &'static str,
        fields: &mut Fields,
        section: &mut Section<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let setting = section.located::<String>(key, problems)?;
        Self::check_text(key, setting, fields, section, problems)
    }

    /// Reads a setting that must be there.
    pub fn check_required(
        key: &'static str,
        fields: &mut Fields,
        section: &mut Section<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let setting = section.required_located::<String>(key, problems)?;
        Self::check_text(key, setting, fields, section, problems)
    }

    fn check_text(
        key: &str,
        (text, place): (String, Place),
        fields: &mut Fields,
        section: &Section<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        match Self::parse(&text, fields) {
            Ok(template) => Some(template),
            Err(message) => {
                let message = format!("{}: `{key}`: {message}", section.title());
                let hint = "placeholders are {/field}, {/field?} for one that may be missing, {time} and {key}";
                problems.push_hint(place, message, hint);
                None
            }
        }
    }

    fn parse(text: &str, fields: &mut Fields) -> Result<Self, String> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            let known = [("{time}", Piece::Time), ("{key}", Piece::Key)];
            let (piece, after) = if let Some((name, piece)) = known.into_iter().find(|(name, _)| from.starts_with(name))
            {
                (piece, from.get(name.len()..).unwrap_or_default())
            } else if let Some(inside) = from.strip_prefix('{').filter(|inside| inside.starts_with('/')) {
                let (inside, after) = inside.split_once('}').ok_or_else(|| format!("`{from}` has no closing brace"))?;
                let (pointer, is_optional) =
                    inside.strip_suffix('?').map_or((inside, false), |pointer| (pointer, true));
                (Piece::Field(fields.number(pointer)?, pointer.to_owned(), is_optional), after)
            } else {
                plain.push('{');
                rest = from.get(1..).unwrap_or_default();
                continue;
            };
            pieces.extend((!plain.is_empty()).then(|| Piece::Text(std::mem::take(&mut plain))));
            pieces.push(piece);
            rest = after;
        }
        plain.push_str(rest);
        pieces.extend((!plain.is_empty()).then_some(Piece::Text(plain)));
        Ok(Self { pieces })
    }

    /// The text of a row, or why it has none.
    pub fn fill(&self, batch: &Batch, row: usize, read: &Read<'_>) -> Result<String, String> {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Time => filled.push_str(&iso8601(batch.times.get(row).copied().unwrap_or_default())),
                Piece::Key => filled.push_str(&String::from_utf8_lossy(batch.key(row).unwrap_or_default())),
                Piece::Field(number, pointer, is_optional) => match text(read.cell(*number, row)?) {
                    Some(text) => filled.push_str(&text),
                    None if *is_optional => {}
                    None => return Err(format!("the field `{pointer}` is missing")),
                },
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::columns::Reader;

    fn filled(template: &str, row: &str) -> Result<String, String> {
        let mut fields = Fields::default();
        let template = Template::parse(template, &mut fields)?;
        let batch = Batch {
            times: vec![1_000],
            values: [row].into_iter().collect(),
            keys: Some(["k"].into_iter().collect()),
            ..Batch::default()
        };
        let mut reader = Reader::new(fields.columns);
        let read = reader.read(&batch.values);
        template.fill(&batch, 0, &read)
    }

    /// Fields of any kind, time and key take the place of their placeholders; other braces stay; what is missing is a reason unless it
    /// may be.
    #[test]
    fn placeholders() {
        let row = r#"{"a":"x\ny","n":-1.50,"o":{"p":[1,2]},"z":null}"#;
        for (template, expected) in [
            ("plain", "plain"),
            ("{/a}!", "x\ny!"),
            ("{/n}{/n}", "-1.50-1.50"),
            ("{\"p\": {/o/p}, {}", "{\"p\": [1,2], {}"),
            ("{key} at {time} {/z?}{/none?}.", "k at 1970-01-01T00:00:01Z ."),
            ("{/none|/a}", "x\ny"),
        ] {
            assert_eq!(filled(template, row).as_deref(), Ok(expected), "{template}");
        }
        for (template, expected) in [("{/none}", "`/none` is missing"), ("{/a", "closing brace"), ("{/a~}", "lone `~`")]
        {
            assert!(filled(template, row).is_err_and(|reason| reason.contains(expected)), "{template}");
        }
    }
}
