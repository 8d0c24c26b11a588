//! Fields of rows that a sink reads for itself: a key, an id, a version. Such a field has no type in the job file; it may be a text
//! or a whole number.

use wasmill_stream::config::{Problems, Section};
use wasmill_stream::field::FieldSpec;
use wasmill_stream::{Cells, Column};

/// Reads a setting that names a field: the field as a text, and as a number.
pub fn check(key: &'static str, section: &mut Section<'_>, problems: &mut Problems) -> Option<[FieldSpec; 2]> {
    let (pointer, place) = section.located::<String>(key, problems)?;
    match (format!("{pointer}: string").parse(), format!("{pointer}: s64").parse()) {
        (Ok(text), Ok(number)) => Some([text, number]),
        (Err(message), _) | (_, Err(message)) => {
            let message = format!("{}: `{key}`: {message}", section.title());
            problems.push_hint(place, message, "write it like \"/user/id\", without a type");
            None
        }
    }
}

/// A cell that was decoded as a text and as a number; `None`: it is neither.
pub fn text(columns: &[Column], row: usize) -> Option<String> {
    columns.iter().find_map(|column| {
        let is_there = column.faults.binary_search_by_key(&(row as u32), |fault| fault.row).is_err();
        match &column.cells {
            Cells::Text(cells) if is_there => Some(String::from_utf8_lossy(cells.get(row)).into_owned()),
            Cells::Int(cells) if is_there => cells.get(row).map(i64::to_string),
            _ => None,
        }
    })
}
