//! What is said about versions and how they do.

use crate::progress::grouped;
use std::fmt::Write as _;
use std::time::Duration;
use wasmill_engine::{Candidacy, Cost, Migration, Mode, Report, Swapped};
use wasmill_stream::key::KEY_GROUPS;
use wasmill_stream::plugin::{Identity, Version};

/// A version by name, number and the first digits of its digest.
pub fn identity(identity: &Identity) -> String {
    format!("{} {} ({:.8})", identity.name, identity.version, identity.digest)
}

/// The same of a plugin.
pub fn version(version: &Version) -> String {
    identity(version.plugin().identity())
}

/// How long a change has taken.
pub fn times(swapped: &Swapped) -> String {
    match swapped.is_pending {
        true => pause(swapped),
        false => format!("it took {:.1?}, {} of it", swapped.took, pause(swapped)),
    }
}

/// How long workers stood still for a change.
pub fn pause(swapped: &Swapped) -> String {
    match swapped.is_pending {
        true => "the step stands still: the change takes effect when it gets on".into(),
        false => format!("workers stood still for {:.1?}", swapped.pause),
    }
}

/// How a version is tried.
pub fn mode(mode: Mode) -> String {
    match mode {
        Mode::Shadow => "as a shadow".into(),
        Mode::Canary { key_groups } => {
            format!("as a canary for {:.1} % of the keys", key_groups as f64 * 100.0 / KEY_GROUPS as f64)
        }
        Mode::Probation => "on probation".into(),
        Mode::Transition => "on probation until the version before has closed the windows that it has opened".into(),
    }
}

/// How a trial stands.
pub fn trial(step: &str, candidacy: &Candidacy) -> String {
    let (candidate, incumbent) = (version(candidacy.candidate()), version(candidacy.incumbent()));
    let how = mode(candidacy.mode());
    format!("step {step}: {candidate} {how}, {incumbent} ready\n{}", report(&candidacy.report()))
}

/// What a trial has shown.
pub fn report(report: &Report) -> String {
    let Report { rows, compared, differing, differences, incumbent, candidate, failure, .. } = report;
    let mut text = format!("{rows} rows seen; {compared} answers compared, {differing} differ\n");
    let [cpu, wall]: [fn(&Cost) -> Duration; 2] = [|cost| cost.cpu, |cost| cost.wall];
    for (what, time) in [("CPU", cpu), ("latency", wall)] {
        let (now, before) = (per_row(candidate, time), per_row(incumbent, time));
        let _ = writeln!(text, "  {what:<9}{now}, the version before {before}");
    }
    let _ =
        writeln!(text, "  memory   {} KiB, the version before {} KiB", candidate.memory >> 10, incumbent.memory >> 10);
    if let Some(failure) = failure {
        let _ = writeln!(text, "  failed   {failure}");
    }
    for difference in differences {
        let _ = writeln!(text, "  {}", difference.of);
        for (whose, lines) in [("before", &difference.incumbent), ("now", &difference.candidate)] {
            let nothing = ["(nothing)".to_owned()];
            let lines = if lines.is_empty() { &nothing[..] } else { lines };
            for line in lines {
                let _ = writeln!(text, "    {whose:<7}{line}");
            }
        }
    }
    text.trim_end().to_owned()
}

/// The same in a few numbers.
pub fn figures(report: &Report) -> String {
    let Report { rows, rejects, sources, results, candidate, .. } = report;
    let (cpu, wall) = (per_row(candidate, |cost| cost.cpu), per_row(candidate, |cost| cost.wall));
    format!(
        "{} rows seen, {} refused, {} results of {} rows or windows, {cpu} of CPU time, {wall} by the clock",
        grouped(*rows),
        grouped(*rejects),
        grouped(*results),
        grouped(*sources)
    )
}

fn per_row(cost: &Cost, time: fn(&Cost) -> Duration) -> String {
    match cost.rows {
        0 => "unknown".into(),
        rows => format!("{} ns a row", time(cost).as_nanos() / u128::from(rows)),
    }
}

/// How states were rewritten, if they had to be: the end of a sentence.
pub fn migration(migration: Option<&Migration>) -> String {
    let Some(Migration { from, to, states, sample, projected, took }) = migration else { return String::new() };
    let (states, sample) = (grouped(*states), grouped(*sample));
    match took {
        Some(took) => format!(
            "; {states} states rewritten from version {from} to {to} in {took:.1?}, {sample} of them tried before (by which it should take {projected:.1?})"
        ),
        None => format!(
            "; {sample} of {states} states tried from version {from} to {to}: to rewrite all will take about {projected:.1?}"
        ),
    }
}

/// A duration as people say it.
pub fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
