//! The values of `${NAME}` in a job file: from `--set NAME=VALUE`, then from the environment. It remembers which names were
//! asked for, so that a misspelt `--set` does not go unnoticed. And what the job may reach outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmill_stream::access::{Access, Anything};
use wasmill_stream::config;

/// Parameters of a job.
#[derive(Clone)]
pub struct Parameters {
    set: BTreeMap<String, String>,
    environment: fn(&str) -> Option<String>,
    access: Arc<dyn Access>,
    /// Shared by copies.
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Parameters {
    /// Exactly these, and nothing from the environment.
    pub fn new<N: Into<String>, V: Into<String>>(set: impl IntoIterator<Item = (N, V)>) -> Self {
        let set = set.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { set, environment: |_| None, access: Arc::new(Anything), asked: Arc::default() }
    }

    /// Names that are not set are looked up in the environment of the process.
    pub fn or_environment(mut self) -> Self {
        self.environment = |name| std::env::var(name).ok();
        self
    }

    /// A job whose file has these may reach no more than this.
    pub fn within(self, access: Arc<dyn Access>) -> Self {
        Self { access, ..self }
    }

    /// What a job may reach.
    pub fn shared_access(&self) -> Arc<dyn Access> {
        self.access.clone()
    }

    /// The names that were set and that nothing in the job file has asked for.
    pub fn unused(&self) -> Vec<&str> {
        let asked = self.asked();
        self.set.keys().filter(|name| !asked.contains(*name)).map(String::as_str).collect()
    }

    fn asked(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl config::Parameters for Parameters {
    fn get(&self, name: &str) -> Option<String> {
        self.asked().insert(name.to_owned());
        self.set.get(name).cloned().or_else(|| (self.environment)(name))
    }

    fn access(&self) -> &dyn Access {
        &*self.access
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_stream::config::Parameters as _;

    /// `--set` wins over the environment, and what nobody asked for is known.
    #[test]
    fn set_before_environment() {
        let path = std::env::var("PATH").ok();
        let parameters = Parameters::new([("PATH", "mine"), ("typo", "x")]);
        assert_eq!(parameters.get("PATH").as_deref(), Some("mine"));
        assert_eq!(parameters.get("HOME"), None, "the environment is not read unless wanted");
        assert_eq!(parameters.unused(), ["typo"]);
        assert_eq!(Parameters::new([("a", "b")]).or_environment().get("PATH"), path);
        assert_eq!(Parameters::new([("PATH", "mine")]).or_environment().get("PATH").as_deref(), Some("mine"));
    }
}
