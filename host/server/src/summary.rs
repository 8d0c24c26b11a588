//! The last words about a job: what became of every row, step by step, why rows were refused, and what the plugins cost.

use crate::progress::grouped;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use wasmill_stream::guest_ledger::{GuestCounts, Metric};
use wasmill_stream::ledger::{Counts, Guest, Ledger, StepLedger};
use wasmill_stream::units::ByteCount;

/// How many reasons of a step are shown.
const REASONS: usize = 5;

/// A title and what stands below it.
type Column = (&'static str, fn(&Counts) -> i64);

const COLUMNS: [Column; 10] = [
    ("read", |counts| counts.read as i64),
    ("= emitted", |counts| counts.emitted as i64),
    ("+ filtered", |counts| counts.filtered as i64),
    ("+ late", |counts| counts.late as i64),
    ("+ rejected", |counts| counts.rejected as i64),
    ("+ control", |counts| counts.control as i64),
    ("+ in flight", |counts| counts.in_flight()),
    ("rows out", |counts| counts.written as i64),
    ("windows", |counts| counts.fired as i64),
    ("timers", |counts| counts.timers as i64),
];

/// The balance of a job.
pub struct Summary<'a>(pub &'a Ledger);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self.0.steps.iter().map(|step| (step.name.as_str(), step.counts())).collect();
        let name_width = counts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        // A column that is zero everywhere says nothing; the first two always do.
        let shown: Vec<_> = COLUMNS
            .iter()
            .enumerate()
            .filter(|(at, (_, value))| *at < 2 || counts.iter().any(|(_, counts)| value(counts) != 0))
            .map(|(_, (title, value))| {
                let cells: Vec<_> = counts.iter().map(|(_, counts)| cell(value(counts))).collect();
                let width = cells.iter().map(String::len).chain([title.len()]).max().unwrap_or(0);
                (*title, cells, width)
            })
            .collect();
        write!(f, "{:name_width$}", "")?;
        for (title, _, width) in &shown {
            write!(f, "  {title:>width$}")?;
        }
        writeln!(f)?;
        for (row, (name, _)) in counts.iter().enumerate() {
            write!(f, "{name:name_width$}")?;
            for (_, cells, width) in &shown {
                write!(f, "  {:>width$}", cells[row])?;
            }
            writeln!(f)?;
        }
        self.0.steps.iter().try_for_each(|step| rejects(f, step))?;
        self.0.steps.iter().try_for_each(|step| gaps(f, step))?;
        plugins(f, &self.0.steps)
    }
}

/// What the plugins cost, a line each, and the metrics that they keep themselves.
fn plugins(f: &mut fmt::Formatter<'_>, steps: &[Arc<StepLedger>]) -> fmt::Result {
    let costs: Vec<_> = steps.iter().flat_map(|step| versions(step)).collect();
    if costs.iter().all(|(_, counts)| counts.calls == 0) {
        return Ok(());
    }
    let titles = ["plugin of", "calls", "rows", "CPU", "per row", "longest", "memory", "faults"];
    let line = |(name, counts): &(String, GuestCounts)| {
        let faults: Vec<_> =
            counts.faults.iter().map(|(fault, count)| format!("{fault} {}", grouped(*count))).collect();
        let per_row = counts.cpu.as_nanos() as u64 / counts.rows.max(1);
        [
            name.clone(),
            grouped(counts.calls),
            grouped(counts.rows),
            time(counts.cpu),
            format!("{} ns", grouped(per_row)),
            time(counts.longest),
            ByteCount::new(counts.memory).to_string(),
            if faults.is_empty() { "none".to_owned() } else { faults.join(", ") },
        ]
    };
    let lines: Vec<_> = std::iter::once(titles.map(str::to_owned)).chain(costs.iter().map(line)).collect();
    writeln!(f)?;
    for line in &lines {
        for (at, cell) in line.iter().enumerate() {
            let width = lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
            match at {
                0 => write!(f, "{cell:width$}")?,
                7 => write!(f, "  {cell}")?,
                _ => write!(f, "  {cell:>width$}")?,
            }
        }
        writeln!(f)?;
    }
    for step in steps {
        let forgotten = step.guests().forgotten;
        if forgotten > 0 {
            writeln!(f, "{}: {forgotten} versions before these", step.name)?;
        }
    }
    for (step, counts) in &costs {
        for (name, metric) in &counts.metrics {
            write!(f, "{step} {name}: ")?;
            match metric {
                Metric::Counter(count) => writeln!(f, "{}", grouped(*count))?,
                Metric::Gauge(value) => writeln!(f, "{value}")?,
                Metric::Histogram { count, sum, min, max } => {
                    writeln!(f, "{} from {min} to {max}, {} on average", grouped(*count), sum / *count as f64)?;
                }
            }
        }
    }
    Ok(())
}

/// What the versions of a step's plugin cost, each with its name: that of the step, if there is only one.
fn versions(step: &StepLedger) -> Vec<(String, GuestCounts)> {
    let guests = step.guests();
    let is_only = guests.listed.len() == 1 && guests.forgotten == 0;
    let named = |Guest { identity, ledger }: &Guest| {
        let name = match is_only {
            true => step.name.clone(),
            false => format!("{}: {} {} ({:.8})", step.name, identity.name, identity.version, identity.digest),
        };
        (name, ledger.counts())
    };
    guests.listed.iter().map(named).collect()
}

/// A duration in its fitting unit.
fn time(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.1} ms", seconds * 1e3),
    }
}

fn cell(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(value.unsigned_abs()))
}

/// What a source could not read any more.
fn gaps(f: &mut fmt::Formatter<'_>, step: &StepLedger) -> fmt::Result {
    let (count, last) = (step.gaps.load(Relaxed), step.last_gaps());
    if count == 0 {
        return Ok(());
    }
    writeln!(f, "\nlost by {}: {} gaps", step.name, grouped(count))?;
    if last.len() < count as usize {
        writeln!(f, "       the last {}:", last.len())?;
    }
    last.iter().try_for_each(|gap| writeln!(f, "             {gap}"))
}

fn rejects(f: &mut fmt::Formatter<'_>, step: &StepLedger) -> fmt::Result {
    let rejects = step.rejects();
    if rejects.reasons.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nrejected by {}:", step.name)?;
    let firings = step.refused_firings.load(Relaxed);
    if firings > 0 {
        writeln!(f, "{:>11}  windows or timers among them", grouped(firings))?;
    }
    let mut reasons: Vec<_> = rejects.reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in reasons.iter().take(REASONS) {
        writeln!(f, "{:>11}  {reason}", grouped(**count))?;
    }
    if let Some(rest) = reasons.get(REASONS..).filter(|rest| !rest.is_empty()) {
        let rows = rest.iter().map(|(_, count)| **count).sum();
        writeln!(f, "{:>11}  for {} other reasons", grouped(rows), rest.len())?;
    }
    for example in &rejects.examples {
        writeln!(f, "       e.g.  {example}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_stream::guest_ledger::Took;
    use wasmill_stream::plugin::Identity;
    use wasmill_stream::{Batch, Cause, GuestFault, GuestLedger};

    /// Every row of a step is found in one of the columns, empty columns are left out, and rejects come with reasons.
    #[test]
    fn balance_and_reasons() {
        let (source, step) = (StepLedger::new("trips"), StepLedger::new("cell"));
        StepLedger::add(&source.read, 12_345);
        StepLedger::add(&source.emitted, 12_345);
        StepLedger::add(&step.read, 12_345);
        StepLedger::add(&step.emitted, 12_340);
        StepLedger::add(&step.filtered, 3);
        let batch = Batch { times: vec![0; 10], ..Batch::default() };
        for row in [7, 9] {
            step.reject(&batch, row, Cause::Rejected, "no pickup");
        }
        let guest = Arc::new(GuestLedger::default());
        let cpu = Duration::from_millis(5);
        guest.call(12_345, Took { cpu, wall: cpu }, false);
        guest.fault(GuestFault::Trap);
        guest.memory(3 << 20);
        guest.metric("cells", || true, |_| Metric::Counter(1_000));
        step.add_guest(&identity("1"), &guest);
        let text = Summary(&Ledger { steps: vec![Arc::new(source), Arc::new(step)] }).to_string();
        let expected = "         read  = emitted  + filtered  + rejected
trips  12,345     12,345           0           0
cell   12,345     12,340           3           2

rejected by cell:
          2  no pickup
       e.g.  row 7: no pickup
       e.g.  row 9: no pickup

plugin of  calls    rows     CPU  per row  longest  memory  faults
cell           1  12,345  5.0 ms   405 ns   5.0 ms   3 MiB  trap 1
cell cells: 1,000
";
        assert_eq!(text, expected);
    }

    /// A source that has lost records → its last gaps are told, and how many there were.
    #[test]
    fn gaps_are_told() {
        let told = |gaps: u64| {
            let source = StepLedger::new("trips");
            (0..gaps).for_each(|number| source.note_gap(format!("shard: record {number}")));
            Summary(&Ledger { steps: vec![Arc::new(source)] }).to_string()
        };
        assert!(!told(0).contains("lost"));
        assert!(told(1).ends_with("\nlost by trips: 1 gaps\n             shard: record 0\n"), "{}", told(1));
        let text = told(7);
        assert!(text.contains("lost by trips: 7 gaps\n       the last 5:\n             shard: record 2\n"), "{text}");
        assert!(text.ends_with("shard: record 6\n"), "{text}");
    }

    fn identity(version: &str) -> Identity {
        Identity { name: "cells".into(), version: version.into(), digest: format!("{version}2345678abc") }
    }

    /// A step with several versions, one of which has come back → each is told once, under its own name; of many the last ones.
    #[test]
    fn costs_by_version() {
        let step = StepLedger::new("cell");
        let told = |step: StepLedger| Summary(&Ledger { steps: vec![Arc::new(step)] }).to_string();
        let guest = |calls: u64| {
            let guest = Arc::new(GuestLedger::default());
            (0..calls).for_each(|_| guest.call(100, Took::default(), false));
            guest
        };
        let (first, second) = (guest(1), guest(2));
        for (version, guest) in [("1", &first), ("2", &second), ("1", &first)] {
            step.add_guest(&identity(version), guest);
        }
        let text = told(step);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("cell: ")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("cell: cells 1 (12345678)      1   100"), "{text}");
        assert!(lines[1].starts_with("cell: cells 2 (22345678)      2   200"), "{text}");
        let step = StepLedger::new("cell");
        (0..12).for_each(|version| step.add_guest(&identity(&version.to_string()), &guest(1)));
        let text = told(step);
        assert!(text.contains("cell: cells 2 (") && !text.contains("cell: cells 1 ("), "{text}");
        assert!(text.contains("cell: 2 versions before these"), "{text}");
    }
}
