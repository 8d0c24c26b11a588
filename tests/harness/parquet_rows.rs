//! The rows of a Parquet file, for tests that look into many of them.

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Map, Value, json};

/// Its rows as JSON lines, without what they do not have; the file must be whole.
pub fn lines(bytes: Vec<u8>) -> String {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("a whole file");
    let rows = reader.get_row_iter(None).expect("it has rows");
    rows.map(|row| object(&row.expect("a whole row")).to_string() + "\n").collect()
}

fn object(row: &Row) -> Value {
    let members = row.get_column_iter().filter_map(|(name, field)| Some((name.clone(), value(field)?)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn value(field: &Field) -> Option<Value> {
    Some(match field {
        Field::Null => return None,
        Field::Bool(value) => json!(value),
        Field::Long(value) => json!(value),
        Field::Double(value) => json!(value),
        Field::Str(text) => json!(text),
        other => panic!("no test writes such a value: {other}"),
    })
}
