//! Settings that only somebody else understands, such as a plugin. They are JSON for it; here it is known which of them a
//! parameter gave.

use super::{Place, Problems, Section};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::DeValue;

/// Settings for somebody else.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignSettings {
    /// A JSON object.
    pub json: Value,
    /// The values that are a parameter and nothing else. In the object they are texts, whatever is wanted.
    pub parameters: Vec<ParameterSetting>,
}

/// A setting whose whole value is `${NAME}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSetting {
    /// Where it is in the object: a JSON pointer.
    pub pointer: String,
    /// Where it is in the job file.
    pub place: Place,
}

impl Default for ForeignSettings {
    fn default() -> Self {
        Self { json: Value::Object(Map::new()), parameters: Vec::new() }
    }
}

impl Section<'_> {
    /// All entries that are left.
    pub fn into_foreign(mut self, problems: &mut Problems) -> ForeignSettings {
        let (mut object, mut parameters) = (Map::new(), Vec::new());
        for (key, entry) in std::mem::take(&mut self.entries) {
            let place = entry.value.span();
            find_parameters(&entry.value, step("", &key), &mut parameters);
            match self.convert::<Value>(entry.value) {
                Ok(value) => {
                    object.insert(key, value);
                }
                Err(message) => problems.push(place, format!("{}: `{key}`: {message}", self.title)),
            }
        }
        ForeignSettings { json: Value::Object(object), parameters }
    }
}

/// A text read like a value in a job file: `5`, `0.5`, `true`. `None` if it is none.
pub fn read_literal(text: &str) -> Option<Value> {
    Value::deserialize(DeValue::parse(text).ok()?.into_deserializer()).ok()
}

fn find_parameters(value: &Spanned<DeValue<'_>>, pointer: String, found: &mut Vec<ParameterSetting>) {
    match value.get_ref() {
        DeValue::String(text) if is_parameter(text) => found.push(ParameterSetting { pointer, place: value.span() }),
        DeValue::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, item)| find_parameters(item, step(&pointer, &at.to_string()), found));
        }
        DeValue::Table(entries) => {
            entries.iter().for_each(|(key, item)| find_parameters(item, step(&pointer, key.get_ref()), found));
        }
        _ => {}
    }
}

/// `${NAME}` or `${NAME:default}` with nothing around it.
fn is_parameter(text: &str) -> bool {
    let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| !inside.contains('}'))
}

/// A JSON pointer, one step further.
fn step(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use toml::de::DeTable;

    fn read(text: &str) -> ForeignSettings {
        let table = DeTable::parse(text).expect("valid TOML");
        let parameters = |name: &str| (name == "N").then(|| "8".to_owned());
        let mut problems = Problems::default();
        let settings = Section::new("step", 0..0, table.into_inner(), &parameters).into_foreign(&mut problems);
        assert!(problems.is_empty());
        settings
    }

    /// Settings become JSON with nesting and escapes intact.
    #[test]
    fn settings_are_json() {
        let settings = read("a = [1, 2.5]\nb = { c = \"x\\\"y\", d = true }");
        assert_eq!(settings.json, json!({"a": [1, 2.5], "b": {"c": "x\"y", "d": true}}));
        assert_eq!(settings.parameters, []);
    }

    /// Values that are a parameter are texts and known by their place, those that contain one are only texts.
    #[test]
    fn whole_parameters_are_known() {
        let text = "a = \"${N}\"\nb = { \"c/d\" = [1, \"${M:x}\"] }\ne = \"n${N}\"\nf = \"${N}${N}\"";
        let settings = read(text);
        assert_eq!(settings.json, json!({"a": "8", "b": {"c/d": [1, "x"]}, "e": "n8", "f": "88"}));
        let found: Vec<_> =
            settings.parameters.iter().map(|at| (at.pointer.as_str(), &text[at.place.clone()])).collect();
        assert_eq!(found, [("/a", "\"${N}\""), ("/b/c~1d/1", "\"${M:x}\"")]);
        assert_eq!(settings.json.pointer("/b/c~1d/1"), Some(&json!("x")));
    }

    /// Literals are those of a job file.
    #[test]
    fn literals() {
        let literals = ["5", "1_000", "0.5", "true", "\"x\"", "five", ""].map(read_literal);
        let expected = [json!(5), json!(1_000), json!(0.5), json!(true), json!("x")].map(Some);
        assert_eq!(literals[..5], expected);
        assert_eq!(literals[5..], [None, None]);
    }
}
