//! Metrics as they are before anybody has chosen how to write them: one family after the other, with its name, what it is, its
//! unit, and its series.

use prometheus_client::registry::Unit;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use wasmill_stream::ledger::Latencies;

/// Labels of one series.
pub type Labels = Vec<(Cow<'static, str>, String)>;

/// The name of a family, without unit and without `_total`, and what it is.
pub type About = (&'static str, &'static str);

/// Numbers of one kind.
pub struct Family {
    /// Its name, without unit and without `_total`.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// In what it is counted; `None`: in pieces.
    pub unit: Option<Unit>,
    /// The numbers.
    pub numbers: Numbers,
}

/// Series of one kind.
#[derive(Serialize, Deserialize)]
pub enum Numbers {
    /// Whole numbers that only grow.
    Counts(Vec<(Labels, u64)>),
    /// Others that only grow.
    Sums(Vec<(Labels, f64)>),
    /// Numbers that come and go.
    Gauges(Vec<(Labels, f64)>),
    /// How long things took.
    Latencies(Vec<(Labels, Latencies)>),
}

/// Where families are put down.
#[derive(Default)]
pub struct Page(pub Vec<Family>);

impl Page {
    /// Numbers that only grow.
    pub fn counter(&mut self, about: About, series: impl IntoIterator<Item = (Labels, u64)>) {
        self.counter_in(about, None, series);
    }

    /// The same in a unit.
    pub fn counter_in(&mut self, about: About, unit: Option<Unit>, series: impl IntoIterator<Item = (Labels, u64)>) {
        self.add(about, unit, Numbers::Counts(series.into_iter().collect()));
    }

    /// Time that only grows.
    pub fn seconds(&mut self, about: About, series: impl IntoIterator<Item = (Labels, f64)>) {
        self.add(about, Some(Unit::Seconds), Numbers::Sums(series.into_iter().collect()));
    }

    /// Numbers that come and go.
    pub fn gauge(&mut self, about: About, unit: Option<Unit>, series: impl IntoIterator<Item = (Labels, f64)>) {
        self.add(about, unit, Numbers::Gauges(series.into_iter().collect()));
    }

    /// How long things took.
    pub fn latency(&mut self, about: About, series: impl IntoIterator<Item = (Labels, Latencies)>) {
        self.add(about, Some(Unit::Seconds), Numbers::Latencies(series.into_iter().collect()));
    }

    fn add(&mut self, (name, help): About, unit: Option<Unit>, numbers: Numbers) {
        self.0.push(Family { name, help, unit, numbers });
    }
}
