//! Settings judged by the JSON Schema (draft 2020-12) that a component describes them with. The schema is a stranger's:
//! it loads nothing, its patterns take linear time, and what it can still do (grow exponentially) it does in a child.

use crate::log::printable;
use boon::{Compiler, Draft, ErrorKind, Schemas, UrlLoader, ValidationError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use wasmill_stream::config::strsim_best;

/// The longest schema.
const MAX_SCHEMA: usize = 256 << 10;
/// More problems than anyone reads.
const MAX_PROBLEMS: usize = 100;
/// Where the schema is for itself; nothing else can be loaded.
const PLACE: &str = "settings:/schema.json";

/// Something that is wrong with the settings of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingProblem {
    /// Where: a JSON pointer, empty for the settings as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `/depth/least` as people write it, `depth.least`.
        match self.path.trim_start_matches('/').replace('/', ".").as_str() {
            "" => f.write_str(&self.message),
            key => write!(f, "`{key}`: {}", self.message),
        }
    }
}

/// What a child is asked.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    schema: String,
    settings: Value,
}

impl Request {
    pub(crate) fn new(schema: &str, settings: &Value) -> Self {
        Self { schema: schema.to_owned(), settings: settings.clone() }
    }

    /// As bytes for a child.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| format!("write the settings: {error}"))
    }

    /// The problems; the error is about the schema.
    pub(crate) fn problems(&self) -> Result<Vec<SettingProblem>, String> {
        if self.schema.len() > MAX_SCHEMA {
            return Err(format!("it has {} bytes, at most {MAX_SCHEMA} are possible", self.schema.len()));
        }
        let schema: Value = serde_json::from_str(&self.schema).map_err(|error| format!("it is not JSON: {error}"))?;
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.use_loader(Box::new(Alone));
        let refuse = |error: boon::CompileError| printable(&format!("{error:#}"));
        let properties = schema.get("properties").and_then(Value::as_object);
        let known: Vec<String> = properties.into_iter().flatten().map(|(name, _)| name.clone()).collect();
        compiler.add_resource(PLACE, schema).map_err(refuse)?;
        let mut schemas = Schemas::new();
        let index = compiler.compile(PLACE, &mut schemas).map_err(refuse)?;
        let mut problems = Vec::new();
        if let Err(error) = schemas.validate(&self.settings, index) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            collect(&error, &known, &mut problems);
        }
        Ok(problems)
    }
}

/// What a child does with a request.
pub(crate) fn answer(request: &[u8]) -> Result<Vec<u8>, String> {
    let request: Request = serde_json::from_slice(request).map_err(|error| format!("not a request: {error}"))?;
    let problems = request.problems()?;
    serde_json::to_vec(&problems).map_err(|error| format!("write the problems: {error}"))
}

/// What a child has answered.
pub(crate) fn read(answer: &[u8]) -> Result<Vec<SettingProblem>, String> {
    serde_json::from_slice(answer).map_err(|error| format!("the child process gave no answer: {error}"))
}

/// Loads nothing.
struct Alone;

impl UrlLoader for Alone {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("a schema may not load {url}").into())
    }
}

/// The leaves of the tree of errors: those that say what is wrong with a value.
fn collect(error: &ValidationError<'_, '_>, known: &[&str], problems: &mut Vec<SettingProblem>) {
    if problems.len() >= MAX_PROBLEMS {
        return;
    }
    if !error.causes.is_empty() {
        return error.causes.iter().for_each(|cause| collect(cause, known, problems));
    }
    let problem = SettingProblem {
        path: printable(&error.instance_location.to_string()),
        message: printable(&words(error, known)),
    };
    // Branches of `anyOf` may say the same.
    if !problems.contains(&problem) {
        problems.push(problem);
    }
}

/// What is wrong, in the words of someone who writes settings. `known`: the settings that there are.
fn words(error: &ValidationError<'_, '_>, known: &[&str]) -> String {
    match &error.kind {
        ErrorKind::AdditionalProperties { got } => {
            let at_top = error.instance_location.to_string().is_empty();
            let unknown = got.iter().map(|name| match strsim_best(name, known.iter().copied()).filter(|_| at_top) {
                Some(best) => format!("`{name}` (did you mean `{best}`?)"),
                None if at_top && !known.is_empty() => format!("`{name}` (there are: {})", known.join(", ")),
                None => format!("`{name}`"),
            });
            format!("unknown setting {}", unknown.collect::<Vec<_>>().join(", "))
        }
        ErrorKind::Required { want } => {
            let missing: Vec<_> = want.iter().map(|name| format!("`{name}`")).collect();
            format!("{} must be set", missing.join(", "))
        }
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests;
