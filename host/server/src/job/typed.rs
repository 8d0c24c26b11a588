//! Settings of a plugin that come from parameters. `${LIMIT}` is a text; where the plugin's schema wants a number or a
//! boolean, the text is read as one.

use serde_json::Value;
use wasmill_plugin::SettingProblem;
use wasmill_stream::config::{ForeignSettings, Place, read_literal};

/// The settings as a plugin gets them.
pub struct Typed {
    /// A JSON object.
    pub json: Value,
    /// Parameters that cannot be what the plugin wants. Their settings are still texts.
    pub misfits: Vec<(Place, SettingProblem)>,
}

impl Typed {
    /// Reads parameters as `schema` wants them. A schema that is unusable is left to those who judge by it.
    pub fn new(settings: &ForeignSettings, schema: Option<&str>) -> Self {
        let ForeignSettings { json, parameters } = settings;
        let mut typed = Self { json: json.clone(), misfits: Vec::new() };
        let schema: Option<Value> = schema.and_then(|text| serde_json::from_str(text).ok());
        for parameter in parameters {
            let kinds = schema.as_ref().map(|schema| wanted(schema, &parameter.pointer)).unwrap_or_default();
            let Some(Value::String(text)) = json.pointer(&parameter.pointer) else { continue };
            let (Some(slot), false) = (typed.json.pointer_mut(&parameter.pointer), kinds.is_empty()) else { continue };
            match read_literal(text).filter(|value| kinds.iter().any(|kind| kind.takes(value))) {
                Some(value) => *slot = value,
                None => {
                    let expected: Vec<_> = kinds.iter().map(|kind| kind.text()).collect();
                    let message = format!("expected {}, the parameter is `{text}`", expected.join(" or "));
                    let problem = SettingProblem { path: parameter.pointer.clone(), message };
                    typed.misfits.push((parameter.place.clone(), problem));
                }
            }
        }
        typed
    }
}

/// What a text can be read as.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Integer,
    Number,
    Boolean,
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "true or false",
        }
    }
}

/// What a schema wants at a place, if a text is not what it wants. Only plain `properties` and `items` are followed.
fn wanted(schema: &Value, pointer: &str) -> Vec<Kind> {
    let keys = pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~"));
    let place = keys.fold(schema, |schema, key| match &schema["properties"][key] {
        Value::Null => &schema["items"],
        property => property,
    });
    let types = match &place["type"] {
        Value::Array(types) => types.as_slice(),
        one => std::slice::from_ref(one),
    };
    if types.iter().any(|kind| kind == "string") {
        return Vec::new();
    }
    let kind = |name: &Value| match name.as_str() {
        Some("integer") => Some(Kind::Integer),
        Some("number") => Some(Kind::Number),
        Some("boolean") => Some(Kind::Boolean),
        _ => None,
    };
    types.iter().filter_map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wasmill_stream::config::ParameterSetting;

    const SCHEMA: &str = r#"{"properties": {
        "limit": {"type": "integer"}, "share": {"type": ["number", "null"]}, "on": {"type": "boolean"},
        "name": {"type": "string"}, "either": {"type": ["integer", "string"]}, "any": {},
        "steps": {"type": "array", "items": {"properties": {"a/b": {"type": "integer"}}}}}}"#;

    fn typed(json: Value, pointers: &[&str]) -> Typed {
        let parameter = |pointer: &&str| ParameterSetting { pointer: (*pointer).to_owned(), place: 3..7 };
        Typed::new(&ForeignSettings { json, parameters: pointers.iter().map(parameter).collect() }, Some(SCHEMA))
    }

    /// Texts from parameters become what the schema wants, however deep, and stay texts where a text will do or nothing is
    /// said. Texts that stand in the job file are never touched.
    #[test]
    fn parameters_get_the_type_that_is_wanted() {
        let texts = json!({"limit": "5", "share": "0.5", "on": "true", "name": "7", "either": "8", "any": "9",
                           "steps": [{"a/b": "1_000"}], "unknown": "1"});
        let pointers = ["/limit", "/share", "/on", "/name", "/either", "/any", "/steps/0/a~1b", "/unknown"];
        let typed = typed(texts.clone(), &pointers);
        assert_eq!(
            typed.json,
            json!({"limit": 5, "share": 0.5, "on": true, "name": "7", "either": "8", "any": "9",
                   "steps": [{"a/b": 1_000}], "unknown": "1"})
        );
        assert!(typed.misfits.is_empty());
        assert_eq!(self::typed(texts.clone(), &[]).json, texts);
    }

    /// A parameter that is something else → its place, what was expected and what it is.
    #[test]
    fn misfits_are_named() {
        let typed = typed(json!({"limit": "5.5", "share": "half", "on": "1"}), &["/limit", "/share", "/on"]);
        let misfits: Vec<_> =
            typed.misfits.iter().map(|(place, problem)| (place.clone(), problem.to_string())).collect();
        let expected = [
            "`limit`: expected an integer, the parameter is `5.5`",
            "`share`: expected a number, the parameter is `half`",
            "`on`: expected true or false, the parameter is `1`",
        ];
        assert_eq!(misfits, expected.map(|problem| (3..7, problem.to_owned())));
        assert_eq!(typed.json["limit"], json!("5.5"));
    }
}
