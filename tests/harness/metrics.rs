//! Metrics as text, read line by line.

use super::fleet::Serving;
use std::collections::BTreeMap;

/// The value of each series of a metric, by its labels as they are written.
pub fn series(text: &str, metric: &str) -> BTreeMap<String, f64> {
    let of = |line: &str| {
        let rest = line.strip_prefix(metric)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        Some((labels.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}"))))
    };
    text.lines().filter_map(of).collect()
}

/// The metrics of a host at one moment.
pub struct Metrics(pub String);

impl Metrics {
    /// As they are now.
    pub fn of(serving: &Serving) -> Self {
        let (status, text) = serving.ask("GET", "/metrics", "");
        assert_eq!(status, 200, "{text}");
        Self(text)
    }

    /// The only series of a metric that has all of these labels.
    pub fn find(&self, metric: &str, labels: &[&str]) -> Option<f64> {
        let fits = |(known, _): &(&String, &f64)| labels.iter().all(|label| known.split(',').any(|one| one == *label));
        let series = series(&self.0, metric);
        let found: Vec<_> = series.iter().filter(fits).collect();
        assert!(found.len() <= 1, "{metric} {labels:?}: {found:?}");
        found.first().map(|(_, value)| **value)
    }

    /// The same of a series that must be there.
    pub fn get(&self, metric: &str, labels: &[&str]) -> f64 {
        self.find(metric, labels).unwrap_or_else(|| panic!("no {metric} {labels:?} in {}", self.0))
    }

    /// The names of all families.
    pub fn families(&self) -> Vec<String> {
        let names = self.0.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        names.map(str::to_owned).collect()
    }
}
