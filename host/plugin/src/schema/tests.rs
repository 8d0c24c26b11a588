use super::*;
use serde_json::json;

fn check(schema: &Value, settings: Value) -> Result<Vec<(String, String)>, String> {
    let problems = Request::new(&schema.to_string(), &settings).problems()?;
    Ok(problems.into_iter().map(|problem| (problem.path, problem.message)).collect())
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "radius": { "type": "number", "exclusiveMinimum": 0 },
            "zone": { "enum": ["inner", "outer"] },
            "cells": { "type": "array", "items": { "$ref": "#/$defs/cell" } }
        },
        "required": ["radius"],
        "additionalProperties": false,
        "$defs": { "cell": { "type": "string", "pattern": "^[0-9a-z]{5}$" } }
    })
}

/// Settings that fit have no problems.
#[test]
fn good_settings() {
    let settings = json!({ "radius": 1.5, "zone": "inner", "cells": ["dr5ru"] });
    assert_eq!(check(&schema(), settings), Ok(Vec::new()));
}

/// Every problem names the key and says what was expected, all at once.
#[test]
fn bad_settings() {
    let settings = json!({ "radius": 0, "zone": "middle", "cells": ["dr5ru", 7], "raduis": 1 });
    let problems = check(&schema(), settings).expect("the schema is good");
    let find = |path: &str| problems.iter().find(|(at, _)| at == path).map(|(_, message)| message.as_str());
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(find("/radius").is_some_and(|message| message.contains('0')), "{problems:?}");
    assert!(find("/zone").is_some_and(|message| message.contains("'inner', 'outer'")), "{problems:?}");
    assert!(find("/cells/1").is_some_and(|message| message.contains("want string, but got number")), "{problems:?}");
    assert_eq!(find(""), Some("unknown setting `raduis` (did you mean `radius`?)"));
    let find =
        |settings: Value| check(&schema(), settings).expect("the schema is good").pop().map(|(_, message)| message);
    let unknown = find(json!({ "radius": 1, "xyz": 1 }));
    assert_eq!(unknown.as_deref(), Some("unknown setting `xyz` (there are: cells, radius, zone)"));
    assert_eq!(find(json!({})).as_deref(), Some("`radius` must be set"));
}

/// A schema that is none, that wants something from elsewhere, or that is too large is the component's error.
#[test]
fn bad_schemas() {
    let words = |schema: &Value| check(schema, json!({})).expect_err("a bad schema");
    assert!(words(&json!({ "type": "objekt" })).contains("is not valid against metaschema"));
    for place in ["http://127.0.0.1/x.json", "file:///etc/passwd", "x.json"] {
        let words = words(&json!({ "$ref": place }));
        assert!(words.contains("may not load"), "{words}");
    }
    assert!(words(&json!({ "pattern": "(" })).contains("regex"), "{}", words(&json!({ "pattern": "(" })));
    let not_json = Request::new("{", &json!({})).problems().expect_err("half a schema");
    assert!(not_json.contains("it is not JSON"), "{not_json}");
    let long = json!({ "title": "x".repeat(MAX_SCHEMA) });
    assert!(words(&long).contains("at most 262144"));
    // A schema that refers to itself without end is told so, and patterns that explode elsewhere do not here.
    let cycle = check(&json!({ "$ref": "#" }), json!({})).expect("an answer");
    assert!(cycle[0].1.contains("cycle"), "{cycle:?}");
    let slow = json!({ "properties": { "x": { "pattern": "^(a+)+$" } } });
    assert_eq!(check(&slow, json!({ "x": format!("{}b", "a".repeat(5_000)) })).map(|problems| problems.len()), Ok(1));
    assert!(words(&json!({ "pattern": "(((a{1000}){1000}){1000})" })).contains("regex"));
}

/// A problem in words names the key as it is written in a job file; one of the settings as a whole names none.
#[test]
fn problems_in_words() {
    let words = |path: &str| SettingProblem { path: path.to_owned(), message: "want a number".to_owned() }.to_string();
    assert_eq!(words("/cells/1"), "`cells.1`: want a number");
    assert_eq!(words(""), "want a number");
}
