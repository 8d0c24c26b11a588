//! What the job file says about the types of fields, held against what the server has. Pure.

use serde_json::Value;
use std::collections::BTreeMap;

/// Fields by their path, each with its type.
type Types = BTreeMap<String, String>;

/// What is to be done about the mappings of an index.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has all of them.
    Same,
    /// Some fields are missing: they can be added.
    Missing(Vec<String>),
    /// Fields have other types, which cannot be changed: for people.
    Conflicting(String),
}

/// Compares the `mappings` of the job file with those of an index.
pub fn compare(wanted: &Value, found: &Value) -> Verdict {
    let (wanted, found) = (types(wanted), types(found));
    let conflicts: Vec<_> = wanted
        .iter()
        .filter_map(|(path, kind)| {
            let other = found.get(path).filter(|other| *other != kind)?;
            Some(format!("`{path}` is {other}, not {kind}"))
        })
        .collect();
    if !conflicts.is_empty() {
        return Verdict::Conflicting(conflicts.join(", "));
    }
    let missing: Vec<_> = wanted.into_keys().filter(|path| !found.contains_key(path)).collect();
    if missing.is_empty() { Verdict::Same } else { Verdict::Missing(missing) }
}

fn types(mappings: &Value) -> Types {
    let mut types = Types::new();
    collect(mappings, "", &mut types);
    types
}

fn collect(object: &Value, path: &str, types: &mut Types) {
    for (name, field) in object["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        // Objects do not say that they are some.
        let kind = field["type"].as_str().unwrap_or("object").to_owned();
        collect(field, &path, types);
        for (name, sub) in field["fields"].as_object().into_iter().flatten() {
            if let Some(kind) = sub["type"].as_str() {
                types.insert(format!("{path}.{name}"), kind.to_owned());
            }
        }
        types.insert(path, kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The same types, also below objects and with more fields on the server → the same; a field that is not there; and one
    /// of another type, which is named with both types, whatever else is missing.
    #[test]
    fn compared_field_by_field() {
        let wanted = json!({"properties": {
            "place": {"type": "geo_point"},
            "trip": {"properties": {"at": {"type": "date"}, "name": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}},
        }});
        let mut found = wanted.clone();
        found["properties"]["more"] = json!({"type": "long"});
        found["properties"]["trip"]["type"] = json!("object");
        assert_eq!(compare(&wanted, &found), Verdict::Same);
        assert_eq!(compare(&json!({"dynamic": "strict"}), &found), Verdict::Same);
        found["properties"]["trip"]["properties"]["name"] = json!({"type": "text"});
        assert_eq!(compare(&wanted, &found), Verdict::Missing(vec!["trip.name.raw".to_owned()]));
        found["properties"]["place"] = json!({"type": "text"});
        assert_eq!(compare(&wanted, &found), Verdict::Conflicting("`place` is text, not geo_point".to_owned()));
        found["properties"]["trip"] = json!({"type": "keyword"});
        let Verdict::Conflicting(conflicts) = compare(&wanted, &found) else { panic!("both conflict") };
        assert_eq!(conflicts, "`place` is text, not geo_point, `trip` is keyword, not object");
    }
}
