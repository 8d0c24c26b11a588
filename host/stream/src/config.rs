//! Reading a job file so that *every* problem is found at once, with its place and a hint. A [`Section`] is one table of
//! the file; what has settings asks it for them key by key, and what nobody asked for is an unknown key.

mod foreign;

pub use foreign::{ForeignSettings, ParameterSetting, read_literal};

use crate::access::{Access, Anything, Barred, Reach};
use serde::de::{DeserializeOwned, IntoDeserializer};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A range of bytes of the job file.
pub type Place = Range<usize>;

/// One thing that is wrong with a job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, naming the key.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What to do about it, if that is not obvious.
    pub hint: Option<String>,
}

/// The problems found so far.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    /// Adds a problem.
    pub fn push(&mut self, place: Place, message: impl Into<String>) {
        self.found.push(Problem { message: message.into(), place, hint: None });
    }

    /// Adds a problem with a hint.
    pub fn push_hint(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.found.push(Problem { message: message.into(), place, hint: Some(hint.into()) });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in the order of the file.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| problem.place.start);
        self.found
    }
}

/// What is around a job file: the values of `${NAME}`, looked up when a setting is read, and what the job may reach.
pub trait Parameters {
    /// The value of a parameter.
    fn get(&self, name: &str) -> Option<String>;

    /// What the job may reach outside.
    fn access(&self) -> &dyn Access {
        &Anything
    }
}

impl<F: Fn(&str) -> Option<String>> Parameters for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// A table of the job file, being read.
pub struct Section<'a> {
    /// What the table is called in messages: `source trips`.
    title: String,
    place: Place,
    entries: BTreeMap<String, Entry<'a>>,
    /// Every key that was asked for, for the did-you-mean of those that were not.
    asked: Vec<&'static str>,
    parameters: &'a dyn Parameters,
    /// Whether this is the table of the whole file, whose tables are called by their own names.
    is_root: bool,
}

struct Entry<'a> {
    key: Place,
    value: Spanned<DeValue<'a>>,
}

impl<'a> Section<'a> {
    /// A table called `title` that lies at `place`.
    pub fn new(title: impl Into<String>, place: Place, table: DeTable<'a>, parameters: &'a dyn Parameters) -> Self {
        let entries = table
            .into_iter()
            .map(|(key, value)| (key.get_ref().to_string(), Entry { key: key.span(), value }))
            .collect();
        Self { title: title.into(), place, entries, asked: Vec::new(), parameters, is_root: false }
    }

    /// The table of a whole file.
    pub fn root(table: DeTable<'a>, parameters: &'a dyn Parameters) -> Self {
        Self { is_root: true, ..Self::new("job", 0..0, table, parameters) }
    }

    /// What the table is called in messages.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where the table's header is.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// An optional setting. A value of the wrong type is a problem and reads as absent.
    pub fn optional<T: DeserializeOwned>(&mut self, key: &'static str, problems: &mut Problems) -> Option<T> {
        self.located(key, problems).map(|(value, _)| value)
    }

    /// An optional setting together with its place, for checks that look at its value.
    pub fn located<T: DeserializeOwned>(&mut self, key: &'static str, problems: &mut Problems) -> Option<(T, Place)> {
        self.asked.push(key);
        let entry = self.entries.remove(key)?;
        let place = entry.value.span();
        match self.convert(entry.value) {
            Ok(value) => Some((value, place)),
            Err(message) => {
                problems.push(place, format!("{}: `{key}`: {message}", self.title));
                None
            }
        }
    }

    /// A setting that must be there.
    pub fn required<T: DeserializeOwned>(&mut self, key: &'static str, problems: &mut Problems) -> Option<T> {
        self.required_located(key, problems).map(|(value, _)| value)
    }

    /// A setting that must be there, together with its place.
    pub fn required_located<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<(T, Place)> {
        if !self.entries.contains_key(key) {
            self.asked.push(key);
            let similar = strsim_best(key, self.entries.keys().map(String::as_str));
            let message = format!("{}: `{key}` is missing", self.title);
            match similar {
                Some(other) => problems.push_hint(self.place(), message, format!("is `{other}` meant to be `{key}`?")),
                None => problems.push(self.place(), message),
            }
            return None;
        }
        self.located(key, problems)
    }

    /// A setting that must not stand in the job file itself: it has to come from a parameter.
    pub fn secret(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        if let Some(entry) = self.entries.get(key)
            && let DeValue::String(text) = entry.value.get_ref()
            && !text.starts_with("${")
        {
            let message = format!("{}: `{key}` must not be written into the job file", self.title);
            problems.push_hint(
                entry.value.span(),
                message,
                format!("write {key} = \"${{NAME}}\" and set NAME outside"),
            );
        }
        self.optional(key, problems)
    }

    /// A table of settings with names chosen by the user, none of which may stand in the job file itself.
    pub fn secrets(&mut self, key: &'static str, problems: &mut Problems) -> BTreeMap<String, String> {
        if let Some(entry) = self.entries.get(key)
            && let DeValue::Table(table) = entry.value.get_ref()
        {
            for (name, value) in table {
                if matches!(value.get_ref(), DeValue::String(text) if !text.starts_with("${")) {
                    let name = name.get_ref();
                    let message = format!("{}: `{key}.{name}` must not be written into the job file", self.title);
                    problems.push_hint(
                        value.span(),
                        message,
                        format!("write {name} = \"${{NAME}}\" and set NAME outside"),
                    );
                }
            }
        }
        self.optional(key, problems).unwrap_or_default()
    }

    /// A path that must be there.
    pub fn required_path(&mut self, key: &'static str, problems: &mut Problems) -> Option<PathBuf> {
        let (path, place) = self.required_located(key, problems)?;
        self.resolve(path, place, problems)
    }

    /// A path.
    pub fn path(&mut self, key: &'static str, problems: &mut Problems) -> Option<PathBuf> {
        let (path, place) = self.located(key, problems)?;
        self.resolve(path, place, problems)
    }

    /// Where a path of this table leads. One that the job may not take is a problem.
    pub fn resolve(&self, path: PathBuf, place: Place, problems: &mut Problems) -> Option<PathBuf> {
        self.parameters.access().path(path).map_err(|barred| self.bar(barred, place, problems)).ok()
    }

    /// Reports it if the job may not reach something that this table names.
    pub fn reach(&self, reach: Reach<'_>, place: Place, problems: &mut Problems) {
        if let Err(barred) = self.parameters.access().allows(reach) {
            self.bar(barred, place, problems);
        }
    }

    /// What the job may reach outside.
    pub fn access(&self) -> &dyn Access {
        self.parameters.access()
    }

    fn bar(&self, Barred { message, hint }: Barred, place: Place, problems: &mut Problems) {
        problems.push_hint(place, format!("{}: {message}", self.title), hint);
    }

    /// A table inside this one, such as `[source.trips.watermark]`.
    pub fn table(&mut self, key: &'static str, problems: &mut Problems) -> Option<Section<'a>> {
        self.asked.push(key);
        let entry = self.entries.remove(key)?;
        let title = if self.is_root { key.to_owned() } else { format!("{} {key}", self.title) };
        self.into_table(title, key, entry, problems)
    }

    /// All entries that are left, each a table with a name chosen by the user: `[source.NAME]`.
    pub fn named_tables(&mut self, problems: &mut Problems) -> Vec<(String, Section<'a>)> {
        let entries = std::mem::take(&mut self.entries);
        let mut tables = Vec::new();
        for (name, entry) in entries {
            let title = format!("{} {name}", self.title);
            if let Some(section) = self.into_table(title, &name, entry, problems) {
                tables.push((name, section));
            }
        }
        // In the order of the file, not of the alphabet.
        tables.sort_by_key(|(_, section)| section.place.start);
        tables
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self, problems: &mut Problems) {
        for (key, entry) in self.entries {
            let message = format!("{}: unknown key `{key}`", self.title);
            let mut known = self.asked.clone();
            known.sort_unstable();
            known.dedup();
            let hint = match strsim_best(&key, known.iter().copied()) {
                Some(best) => format!("did you mean `{best}`?"),
                None => format!("known keys: {}", known.join(", ")),
            };
            problems.push_hint(entry.key, message, hint);
        }
    }

    #[allow(clippy::wrong_self_convention)]
    fn into_table(&self, title: String, key: &str, entry: Entry<'a>, problems: &mut Problems) -> Option<Section<'a>> {
        match entry.value.into_inner() {
            DeValue::Table(table) => Some(Section::new(title, entry.key, table, self.parameters)),
            other => {
                let found = other.type_str();
                problems.push(entry.key, format!("{}: `{key}` must be a table, found {found}", self.title));
                None
            }
        }
    }

    fn convert<T: DeserializeOwned>(&self, value: Spanned<DeValue<'a>>) -> Result<T, String> {
        let place = value.span();
        let (value, substituted) = self.substitute(value)?;
        let as_text = match (&value, substituted) {
            (DeValue::String(text), true) => Some(text.to_string()),
            _ => None,
        };
        let message = |error: toml::de::Error| error.message().trim().replace('\n', ", ");
        let first = T::deserialize(Spanned::new(place.clone(), value).into_deserializer()).map_err(message);
        match (first, as_text) {
            // "${SPLITS}" is text, but the setting may want a number: read the text as TOML.
            (Err(error), Some(text)) => {
                let literal = DeValue::parse(&text).map_err(|_| error.clone())?;
                T::deserialize(Spanned::new(place, literal.into_inner()).into_deserializer()).map_err(|_| error)
            }
            (result, _) => result,
        }
    }

    /// Replaces `${NAME}` in every string, also inside arrays and inline tables.
    fn substitute(&self, value: Spanned<DeValue<'a>>) -> Result<(DeValue<'a>, bool), String> {
        match value.into_inner() {
            DeValue::String(text) => {
                let replaced = self.expand(&text)?;
                let changed = replaced != *text;
                Ok((DeValue::String(replaced.into()), changed))
            }
            DeValue::Array(items) => {
                let mut array = toml::de::DeArray::default();
                for item in items {
                    let place = item.span();
                    array.push(Spanned::new(place, self.substitute(item)?.0));
                }
                Ok((DeValue::Array(array), false))
            }
            DeValue::Table(entries) => {
                let mut table = DeTable::default();
                for (key, item) in entries {
                    let place = item.span();
                    table.insert(key, Spanned::new(place, self.substitute(item)?.0));
                }
                Ok((DeValue::Table(table), false))
            }
            other => Ok((other, false)),
        }
    }

    fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let Some(end) = from.find('}') else {
                return Err(format!("`{from}` has no closing brace"));
            };
            // ${NAME} or ${NAME:default}
            let inside = &from[2..end];
            let (name, default) = match inside.split_once(':') {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            match self.parameters.get(name).or_else(|| default.map(str::to_owned)) {
                Some(value) => out.push_str(&value),
                None => {
                    return Err(format!(
                        "parameter `{name}` has no value: pass --set {name}=… or set it in the environment"
                    ));
                }
            }
            rest = &from[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// The candidate that a misspelt word was probably meant to be.
pub fn strsim_best<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Period;

    fn read(text: &str, check: impl FnOnce(&mut Section<'_>, &mut Problems)) -> Vec<Problem> {
        let parameters = |name: &str| (name == "SPLITS").then(|| "8".to_owned());
        let table = DeTable::parse(text).expect("valid TOML");
        let place = table.span();
        let mut section = Section::new("source trips", place, table.into_inner(), &parameters);
        let mut problems = Problems::default();
        check(&mut section, &mut problems);
        section.finish(&mut problems);
        problems.into_sorted()
    }

    /// Two wrong types, a missing key and an unknown key are four problems, each at its place.
    #[test]
    fn every_problem_is_found() {
        let text = "splits = \"many\"\nidle = 5\nsteam = \"trips\"\n";
        let found = read(text, |section, problems| {
            section.optional::<u32>("splits", problems);
            section.optional::<Period>("idle", problems);
            section.required::<String>("stream", problems);
        });
        let messages: Vec<_> = found.iter().map(|p| (p.message.as_str(), &text[p.place.clone()])).collect();
        assert_eq!(found.len(), 4, "{messages:?}");
        assert!(messages.iter().any(|(m, at)| m.contains("`splits`") && *at == "\"many\""), "{messages:?}");
        assert!(messages.iter().any(|(m, at)| m.contains("a duration like") && *at == "5"), "{messages:?}");
        let unknown = found.iter().find(|p| p.message.contains("unknown key")).expect("steam is unknown");
        assert_eq!(unknown.hint.as_deref(), Some("did you mean `stream`?"));
    }

    /// Parameters become text or, where a number is wanted, a number; an unknown one says how to give it.
    #[test]
    fn parameters() {
        let found = read("a = \"${SPLITS}\"\nb = \"n=${SPLITS}\"\nc = \"${NOPE}\"\nd = \"${NOPE:x}\"", |s, p| {
            assert_eq!(s.optional::<u32>("a", p), Some(8));
            assert_eq!(s.optional::<String>("b", p).as_deref(), Some("n=8"));
            assert_eq!(s.optional::<String>("c", p), None);
            assert_eq!(s.optional::<String>("d", p).as_deref(), Some("x"));
        });
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("--set NOPE="), "{found:?}");
    }

    /// A secret written into the job file is a problem, one from a parameter is a value.
    #[test]
    fn secrets_come_from_outside() {
        let found = read("key = \"hunter2\"\npassword = \"${SPLITS}\"", |section, problems| {
            section.secret("key", problems);
            assert_eq!(section.secret("password", problems).as_deref(), Some("8"));
        });
        assert_eq!(found.len(), 1);
        assert!(!found[0].message.contains("hunter2") && found[0].message.contains("`key`"), "{found:?}");
        let found = read("keys = { a = \"hunter2\", b = \"${SPLITS}\" }", |section, problems| {
            let values = section.secrets("keys", problems);
            assert_eq!(values["b"], "8");
        });
        assert_eq!(found.len(), 1);
        assert!(!found[0].message.contains("hunter2") && found[0].message.contains("`keys.a`"), "{found:?}");
    }
}
