//! What plugins cost, where they fail, and what they count themselves.

use super::page::{Labels, Page};
use super::{Seen, and, steps};
use prometheus_client::registry::Unit;
use std::collections::BTreeMap;
use wasmill_stream::GuestFault;
use wasmill_stream::guest_ledger::{GuestCounts, Metric};
use wasmill_stream::ledger::Guest;

impl Page {
    /// One series for each version in each step.
    pub(super) fn plugins(&mut self, seen: &[Seen]) {
        let mut plugins: BTreeMap<Labels, Costs> = BTreeMap::new();
        for (labels, step) in steps(seen) {
            // A component that came twice has two ledgers, and is one series.
            for Guest { identity, ledger } in step.guests().listed {
                let digest = identity.digest.get(..12).unwrap_or(&identity.digest).to_owned();
                let mut labels = labels.clone();
                let about = [("plugin", identity.name), ("version", identity.version), ("sha256", digest)];
                labels.extend(about.map(|(name, value)| (name.into(), value)));
                plugins.entry(labels).or_default().add(ledger.counts());
            }
        }
        let counts =
            |value: fn(&Costs) -> u64| plugins.iter().map(move |(labels, costs)| (labels.clone(), value(costs)));
        let about = ("wasmill_plugin_calls", "Calls of a plugin with rows, accumulators or timers");
        self.counter(about, counts(|costs| costs.calls));
        let about = ("wasmill_plugin_slow_calls", "Calls that took longer than the soft limit");
        self.counter(about, counts(|costs| costs.slow_calls));
        let about = ("wasmill_plugin_instances_started", "Instances that were started");
        self.counter(about, counts(|costs| costs.instances));
        let cpu = plugins.iter().map(|(labels, costs)| (labels.clone(), costs.cpu));
        self.seconds(("wasmill_plugin_cpu", "CPU time within calls"), cpu);
        let memory = plugins.iter().map(|(labels, costs)| (labels.clone(), costs.memory as f64));
        let about = ("wasmill_plugin_memory", "The most linear memory that one instance had");
        self.gauge(about, Some(Unit::Bytes), memory);
        let faults = plugins.iter().flat_map(|(labels, costs)| {
            costs.faults.iter().map(|(fault, count)| (and(labels, "fault", fault), *count))
        });
        self.counter(("wasmill_plugin_faults", "Calls that have failed, by fault"), faults);
        self.own(&plugins);
    }

    /// What plugins count: they choose the names, so these are a label and not families.
    fn own(&mut self, plugins: &BTreeMap<Labels, Costs>) {
        let own = || {
            plugins.iter().flat_map(|(labels, costs)| {
                costs.metrics.iter().map(|(name, metric)| (and(labels, "metric", name), *metric))
            })
        };
        let counters = own().filter_map(|(labels, metric)| match metric {
            Metric::Counter(count) => Some((labels, count)),
            _ => None,
        });
        self.counter(("wasmill_plugin_counter", "A counter that the plugin keeps itself"), counters);
        let gauges = own().filter_map(|(labels, metric)| match metric {
            Metric::Gauge(value) => Some((labels, value)),
            _ => None,
        });
        self.gauge(("wasmill_plugin_gauge", "A gauge that the plugin keeps itself"), None, gauges);
        let observed = own().filter_map(|(labels, metric)| match metric {
            Metric::Histogram { count, .. } => Some((labels, count)),
            _ => None,
        });
        self.counter(("wasmill_plugin_observations", "How many values the plugin has observed"), observed);
        let sums = own().filter_map(|(labels, metric)| match metric {
            Metric::Histogram { sum, .. } => Some((labels, sum)),
            _ => None,
        });
        self.gauge(("wasmill_plugin_observed", "The sum of the values that the plugin has observed"), None, sums);
    }
}

/// What a version of a plugin has cost and counted.
#[derive(Default)]
struct Costs {
    calls: u64,
    slow_calls: u64,
    instances: u64,
    /// Seconds.
    cpu: f64,
    memory: u64,
    faults: BTreeMap<GuestFault, u64>,
    metrics: BTreeMap<String, Metric>,
}

impl Costs {
    fn add(&mut self, counts: GuestCounts) {
        self.calls += counts.calls;
        self.slow_calls += counts.slow_calls;
        self.instances += counts.instances;
        self.cpu += counts.cpu.as_secs_f64();
        self.memory = self.memory.max(counts.memory);
        for (fault, count) in counts.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        for (name, metric) in counts.metrics {
            let sum = self.metrics.get(&name).map_or(metric, |before| together(*before, metric));
            self.metrics.insert(name, sum);
        }
    }
}

/// A metric of a plugin that came twice.
fn together(before: Metric, now: Metric) -> Metric {
    match (before, now) {
        (Metric::Counter(before), Metric::Counter(now)) => Metric::Counter(before + now),
        (
            Metric::Histogram { count: before, sum, min, max },
            Metric::Histogram { count: now, sum: more, min: least, max: greatest },
        ) => Metric::Histogram { count: before + now, sum: sum + more, min: min.min(least), max: max.max(greatest) },
        // The last value counts, also of one that has changed its kind.
        (_, now) => now,
    }
}
