//! What has changed between two texts of a job file, and how far it reaches into a job that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use toml::{Table, Value};
use wasmill_stream::{Error, Result};

/// One value that is not what it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The keys that lead to it.
    path: Vec<String>,
    before: Option<Value>,
    after: Option<Value>,
}

/// What a difference asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Nothing that runs: what is asked of swaps from now on.
    Swaps,
    /// The plugin of a step, or the decoder of a source.
    Plugin(String),
    /// The job goes on from a checkpoint, as the new file says.
    HandOver,
    /// It cannot be done while the job runs; how it can.
    Never(&'static str),
}

/// What differs between two job files, in the order of their keys. Both are valid TOML.
pub fn diff(before: &str, after: &str) -> Result<Vec<Difference>> {
    let parse = |text: &str| {
        text.parse::<Table>().map_err(|error| Error::invalid(format!("not valid TOML: {}", error.message())))
    };
    let mut differences = Vec::new();
    compare(&mut Vec::new(), &parse(before)?, &parse(after)?, &mut differences);
    Ok(differences)
}

fn compare(path: &mut Vec<String>, before: &Table, after: &Table, differences: &mut Vec<Difference>) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        path.push(key.clone());
        match (before.get(key), after.get(key)) {
            (Some(before), Some(after)) if before == after => {}
            (Some(Value::Table(before)), Some(Value::Table(after))) => compare(path, before, after, differences),
            // Of a group that comes or goes the members count.
            (Some(Value::Table(before)), None) if path.len() == 1 => compare(path, before, &Table::new(), differences),
            (None, Some(Value::Table(after))) if path.len() == 1 => compare(path, &Table::new(), after, differences),
            (before, after) => {
                differences.push(Difference { path: path.clone(), before: before.cloned(), after: after.cloned() });
            }
        }
        path.pop();
    }
}

impl Difference {
    /// What it asks for.
    pub fn reach(&self) -> Reach {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match path[..] {
            ["name"] => {
                Reach::Never("the name says which state is the job's: stop it, and start it under the new name")
            }
            ["checkpoint", "to"] => Reach::Never("stop the job, move its checkpoints there, and start it"),
            ["locked"] | ["swap" | "components" | "trust", ..] => Reach::Swaps,
            ["step", step, "plugin" | "settings" | "limits" | "wasi" | "sha256", ..] => Reach::Plugin(step.to_owned()),
            ["source", source, "decoder", "plugin" | "settings" | "limits" | "wasi" | "sha256", ..] => {
                Reach::Plugin(source.to_owned())
            }
            _ => Reach::HandOver,
        }
    }
}

impl Difference {
    /// Whether it changes a sink that was there before.
    pub fn is_of_sink(&self) -> bool {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match path[..] {
            ["sink", _, _, ..] => true,
            ["dead_letter" | "archive", ..] => self.before.is_some(),
            _ => false,
        }
    }

    /// Whether it says which component a step is to run.
    pub fn is_of_component(&self, step: &str) -> bool {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let (name, key) = match path[..] {
            ["step", name, key, ..] | ["source", name, "decoder", key, ..] => (name, key),
            _ => return false,
        };
        name == step && matches!(key, "plugin" | "sha256")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.join(".");
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{path}: {} instead of {}", shown(after), shown(before)),
            (None, Some(Value::Table(_))) => write!(f, "{path} is new"),
            (None, Some(after)) => write!(f, "{path}: {}, which was not there", shown(after)),
            (Some(_), None) => write!(f, "{path} is gone"),
            (None, None) => f.write_str(&path),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// The steps whose plugins have changed; `None` if anything needs more than that.
pub fn plugins(differences: &[Difference]) -> Option<Vec<String>> {
    let mut steps: BTreeMap<String, ()> = BTreeMap::new();
    for difference in differences {
        match difference.reach() {
            Reach::Swaps => {}
            Reach::Plugin(step) => drop(steps.insert(step, ())),
            Reach::HandOver | Reach::Never(_) => return None,
        }
    }
    Some(steps.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "name = \"a\"\n[source.in]\ntype = \"replay\"\n[step.s]\nplugin = \"s\"\nsettings = { least = 2 }\n\
                       [sink.out]\ninput = \"s\"\ntype = \"stdout\"\n";

    fn lines(after: &str) -> Vec<(String, Reach)> {
        let differences = diff(JOB, after).expect("TOML");
        differences.iter().map(|difference| (difference.to_string(), difference.reach())).collect()
    }

    /// Each kind of change → named by its keys, with what it takes.
    #[test]
    fn changes() {
        assert_eq!(lines(&format!("# a comment\n{JOB}")), []);
        let settings = lines(&JOB.replace("least = 2", "least = 3, most = 9"));
        let of_step = Reach::Plugin("s".into());
        assert_eq!(settings[0], ("step.s.settings.least: 3 instead of 2".into(), of_step.clone()));
        assert_eq!(settings[1], ("step.s.settings.most: 9, which was not there".into(), of_step));
        let sink = lines(&format!("{JOB}[sink.more]\ninput = \"s\"\ntype = \"stdout\"\n"));
        assert_eq!(sink, [("sink.more is new".into(), Reach::HandOver)]);
        let engine = lines(&format!("{JOB}[engine]\nworkers = 2\n[swap]\nprobation = \"1m\"\n"));
        assert_eq!(engine[0], ("engine.workers: 2, which was not there".into(), Reach::HandOver));
        assert_eq!(engine[1], ("swap.probation: \"1m\", which was not there".into(), Reach::Swaps));
        let [(words, Reach::Never(_))] = &lines(&JOB.replace("\"a\"", "\"b\""))[..] else { panic!("the name") };
        assert_eq!(words, "name: \"b\" instead of \"a\"");
        let gone = &lines(&JOB.replace("[sink.out]\ninput = \"s\"\ntype = \"stdout\"\n", ""))[0];
        assert_eq!(gone, &("sink.out is gone".into(), Reach::HandOver));
    }

    /// Another component or digest for a step → said of that step; another setting, even one of that name → not.
    #[test]
    fn components() {
        let of = |after: &str, step: &str| {
            diff(JOB, after).expect("TOML").iter().any(|difference| difference.is_of_component(step))
        };
        let other = JOB.replace("plugin = \"s\"", "plugin = \"t\"");
        assert!(of(&other, "s") && !of(&other, "in"));
        assert!(of(&JOB.replace("plugin = \"s\"", "plugin = \"s\"\nsha256 = \"00\""), "s"));
        assert!(!of(&JOB.replace("least = 2", "plugin = 2"), "s"));
        let decoder = |plugin: &str| format!("{JOB}[source.in.decoder]\nplugin = \"{plugin}\"\nwasi = true\n");
        let differences = diff(&decoder("d"), &decoder("e")).expect("TOML");
        assert!(differences.iter().all(|difference| difference.is_of_component("in")));
    }

    /// Members of a sink, or of the dead letters that were there → said to be of a sink; one that comes → not.
    #[test]
    fn sinks() {
        let of = |before: &str, after: &str| diff(before, after).expect("TOML").iter().any(Difference::is_of_sink);
        assert!(of(JOB, &JOB.replace("stdout", "file")));
        assert!(of(JOB, &JOB.replace("type = \"stdout\"", "type = \"stdout\"\nroll = 1")));
        let letters = format!("{JOB}[dead_letter]\ntype = \"file\"\npath = \"a\"\n");
        assert!(of(&letters, &letters.replace("\"a\"", "\"b\"")));
        assert!(!of(JOB, &letters) && !of(JOB, &format!("{JOB}[sink.more]\ntype = \"stdout\"\n")));
        assert!(!of(JOB, &JOB.replace("least = 2", "least = 3")));
    }

    /// Changes of plugins alone name their steps; anything else among them does not.
    #[test]
    fn plugins_alone() {
        let of = |after: &str| plugins(&diff(JOB, after).expect("TOML"));
        assert_eq!(
            of(&JOB.replace("plugin = \"s\"", "plugin = \"t\"\nlimits = { call = \"2s\" }")),
            Some(vec!["s".into()])
        );
        assert_eq!(of(&JOB.replace("plugin = \"s\"", "plugin = \"t\"").replace("stdout", "file")), None);
        assert_eq!(of(JOB), Some(Vec::new()));
    }
}
