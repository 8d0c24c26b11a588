//! What is wrong with settings, and where.

use serde_json::Value;
use std::fmt;

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The names that lead to it, joined by dots; empty for all settings together.
    path: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Missing,
    /// There is no such setting; these there are.
    Unknown(String),
    Wrong(String),
}

impl Problem {
    /// Something is wrong, in words that fit after the name and a colon.
    pub fn new(wrong: impl Into<String>) -> Self {
        Self { path: String::new(), what: What::Wrong(wrong.into()) }
    }

    pub(super) fn expected(expected: &str, found: &Value) -> Self {
        Self::new(format!("expected {expected}, found {found}"))
    }

    pub(super) fn missing() -> Self {
        Self { path: String::new(), what: What::Missing }
    }

    pub(super) fn unknown(name: &str, known: impl Iterator<Item = &'static str>) -> Self {
        let known: Vec<_> = known.collect();
        let known = match &known[..] {
            [] => "none".to_owned(),
            [one] => (*one).to_owned(),
            [first @ .., last] => format!("{} or {last}", first.join(", ")),
        };
        Self { path: name.to_owned(), what: What::Unknown(known) }
    }

    /// The same problem, of a setting inside `name`.
    pub(super) fn within(mut self, name: &str) -> Self {
        self.path = if self.path.is_empty() { name.to_owned() } else { format!("{name}.{}", self.path) };
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, what } = self;
        match what {
            What::Missing => write!(f, "setting \"{path}\" is missing"),
            What::Unknown(known) => write!(f, "unknown setting \"{path}\", expected {known}"),
            What::Wrong(wrong) if path.is_empty() => write!(f, "settings: {wrong}"),
            What::Wrong(wrong) => write!(f, "setting \"{path}\": {wrong}"),
        }
    }
}
