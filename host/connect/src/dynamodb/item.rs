//! What becomes of a row: an item whose attributes are the members of its JSON object, with the key that the table wants.

use super::number::canonical;
use super::settings::RowSettings;
use super::table::{Key, KeyKind};
use crate::format::columns::{Cell, ColumnSpec, Read, Reader};
use crate::requests::{Entry, Made, Rows};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;
use wasmill_stream::{Batch, Error, Result};
use xxhash_rust::xxh3::xxh3_64;

/// An item is not larger:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>, as are the other limits here.
const ITEM_BYTES: usize = 400 << 10;
/// Levels of lists and maps.
const LEVELS: usize = 32;

/// Attributes by name.
pub type Attributes = HashMap<String, AttributeValue>;

/// An item.
#[derive(Debug)]
pub struct Item {
    /// All that it has.
    pub attributes: Attributes,
    /// Its key, in one form for equal keys.
    pub key: String,
    /// What is compared with the item that it is to take the place of.
    pub version: Option<AttributeValue>,
}

/// Makes items of rows.
pub struct Items {
    reader: Reader,
    keys: Vec<Key>,
    version: Option<String>,
    expiry: Option<(String, i64)>,
}

impl Items {
    /// For a table with these keys.
    pub fn new(settings: &RowSettings, keys: &[Key]) -> Result<Self> {
        let columns = keys.iter().zip(&settings.keys).map(|(Key { name, .. }, pointer)| {
            let own = || format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            let pointer = pointer.clone().unwrap_or_else(own);
            ColumnSpec::untyped(name.clone(), &pointer).map_err(Error::invalid)
        });
        let reader = Reader::new(columns.collect::<Result<_>>()?);
        let expiry = settings.expiry.as_ref().map(|(name, ttl)| (name.clone(), ttl.millis()));
        Ok(Self { reader, keys: keys.to_vec(), version: settings.version.clone(), expiry })
    }
}

impl Rows for Items {
    type Item = Item;

    fn of(&mut self, batch: &Arc<Batch>) -> Vec<Made<Item>> {
        let read = self.reader.read(&batch.values);
        let making = Making { keys: &self.keys, version: self.version.as_deref(), expiry: self.expiry.as_ref() };
        (0..batch.len()).map(|row| making.item(batch, row, &read).into()).collect()
    }
}

/// How items are made of the rows of one batch.
struct Making<'m> {
    keys: &'m [Key],
    version: Option<&'m str>,
    expiry: Option<&'m (String, i64)>,
}

impl Making<'_> {
    fn item(&self, batch: &Arc<Batch>, row: usize, read: &Read<'_>) -> Result<Entry<Item>, String> {
        let (mut attributes, mut bytes) = attributes(batch.values.get(row), 1)?;
        let mut key = String::new();
        for (column, Key { name, kind, most }) in self.keys.iter().enumerate() {
            let value = match read.refusal(row) {
                Some(reason) => return Err(reason.to_owned()),
                None => read.cell(column, row)?,
            };
            let (value, text) = key_value(*kind, value).map_err(|reason| format!("the key `{name}` {reason}"))?;
            if text.is_empty() || text.len() > *most {
                return Err(format!("the key `{name}` is empty or has more than {most} bytes"));
            }
            key.push_str(&format!("{}:{text}", text.len()));
            bytes += name.len() + text.len();
            attributes.insert(name.clone(), value);
        }
        let version = match self.version {
            None => None,
            Some(name) => match attributes.get(name) {
                Some(value @ (AttributeValue::N(_) | AttributeValue::S(_))) => Some(value.clone()),
                _ => return Err(format!("the version `{name}` is no number and no text")),
            },
        };
        if let Some((name, ttl)) = self.expiry {
            let seconds = batch.times.get(row).map_or(0, |time| time.saturating_add(*ttl).div_euclid(1_000));
            attributes.insert(name.clone(), AttributeValue::N(seconds.to_string()));
            bytes += name.len() + 8;
        }
        if bytes > ITEM_BYTES {
            return Err("larger than the 400 KB that DynamoDB takes".to_owned());
        }
        let order = self.version.is_none().then(|| xxh3_64(key.as_bytes()));
        Ok(Entry::new(Item { attributes, key, version }, batch, row, bytes, order))
    }
}

/// A key attribute, and the one form of it.
fn key_value(kind: KeyKind, cell: Cell<'_>) -> Result<(AttributeValue, String), &'static str> {
    match (kind, cell) {
        (_, Cell::Null) => Err("is missing"),
        (KeyKind::Text, Cell::Text(text)) => {
            let text = String::from_utf8_lossy(text).into_owned();
            Ok((AttributeValue::S(text.clone()), text))
        }
        (kind, Cell::Json(json)) => match (kind, std::str::from_utf8(json).ok().filter(|text| is_number(text))) {
            (KeyKind::Number, Some(number)) => Ok((AttributeValue::N(number.to_owned()), canonical(number)?)),
            (KeyKind::Text, Some(number)) => Ok((AttributeValue::S(number.to_owned()), number.to_owned())),
            (KeyKind::Number, None) => Err("is no number"),
            (KeyKind::Text, None) => Err("is no text and no number"),
        },
        (KeyKind::Number, _) => Err("is no number"),
        (KeyKind::Text, _) => Err("is no text and no number"),
    }
}

/// The one form of the key that attributes have; `None`: they have none.
pub fn key_of(attributes: &Attributes, keys: &[Key]) -> Option<String> {
    let mut key = String::new();
    for Key { name, .. } in keys {
        let text = match attributes.get(name)? {
            AttributeValue::S(text) => text.clone(),
            AttributeValue::N(number) => canonical(number).ok()?,
            _ => return None,
        };
        key.push_str(&format!("{}:{text}", text.len()));
    }
    Some(key)
}

/// The members of an object as attributes, and about how large they are.
fn attributes(json: &[u8], level: usize) -> Result<(Attributes, usize), String> {
    let members: HashMap<String, &RawValue> =
        serde_json::from_slice(json).map_err(|_| "not a JSON object".to_owned())?;
    let (mut all, mut bytes) = (HashMap::with_capacity(members.len()), 0);
    for (name, json) in members {
        let (value, size) = attribute(json.get(), level)?;
        bytes += name.len() + size;
        all.insert(name, value);
    }
    Ok((all, bytes))
}

/// Any JSON as an attribute, and about how large it is.
fn attribute(json: &str, level: usize) -> Result<(AttributeValue, usize), String> {
    let unreadable = |_| "not a JSON object".to_owned();
    if level > LEVELS {
        return Err("has more than the 32 levels that DynamoDB takes".to_owned());
    }
    Ok(match json.as_bytes().first() {
        Some(b'{') => {
            let (members, bytes) = attributes(json.as_bytes(), level + 1)?;
            let bytes = bytes + 3 + members.len();
            (AttributeValue::M(members), bytes)
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(json).map_err(unreadable)?;
            let (mut all, mut bytes) = (Vec::with_capacity(elements.len()), 3 + elements.len());
            for element in elements {
                let (value, size) = attribute(element.get(), level + 1)?;
                bytes += size;
                all.push(value);
            }
            (AttributeValue::L(all), bytes)
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(json).map_err(unreadable)?;
            let bytes = text.len();
            (AttributeValue::S(text), bytes)
        }
        Some(b't' | b'f') => (AttributeValue::Bool(json == "true"), 1),
        Some(b'n') => (AttributeValue::Null(true), 1),
        _ => {
            canonical(json)?;
            (AttributeValue::N(json.to_owned()), json.len().div_ceil(2) + 1)
        }
    })
}

fn is_number(json: &str) -> bool {
    json.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind of JSON → its kind of attribute, numbers with all of their digits; deeper than the table takes, or a number that
    /// it does not keep → a reason.
    #[test]
    fn json_becomes_attributes() {
        let long = "12345678901234567890123456789012345678";
        let json = format!(
            r#"{{"s":"\u00e9\"","n":{long},"f":1.50,"b":true,"z":null,"l":[1,"x",[]],"m":{{"a":{{}}}},"e":""}}"#
        );
        let (all, _) = attributes(json.as_bytes(), 1).expect("an object");
        assert_eq!(all["s"], AttributeValue::S("é\"".to_owned()));
        assert_eq!(all["n"], AttributeValue::N(long.to_owned()));
        assert_eq!(all["f"], AttributeValue::N("1.50".to_owned()));
        assert_eq!((&all["b"], &all["z"]), (&AttributeValue::Bool(true), &AttributeValue::Null(true)));
        let list = [AttributeValue::N("1".into()), AttributeValue::S("x".into()), AttributeValue::L(vec![])];
        assert_eq!(all["l"], AttributeValue::L(list.into()));
        assert_eq!(all["m"], AttributeValue::M([("a".to_owned(), AttributeValue::M(HashMap::new()))].into()));
        assert_eq!(all["e"], AttributeValue::S(String::new()));
        let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(attributes(deep(31).as_bytes(), 1).is_ok());
        assert!(attributes(deep(32).as_bytes(), 1).is_err_and(|reason| reason.contains("32 levels")));
        assert!(attributes(b"{\"n\":1e200}", 1).is_err_and(|reason| reason.contains("range")));
        assert!(attributes(b"[1]", 1).is_err_and(|reason| reason.contains("not a JSON object")));
    }
}
