//! What is said about versions and how they do.

use std::fmt::Write as _;
use std::time::Duration;
use wasmill_engine::{Candidacy, Cost, Mode, Report};
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
    let Report { rows, compared, differing, differences, incumbent, candidate, failure } = report;
    let mut text = format!("{rows} rows seen; {compared} answers compared, {differing} differ\n");
    let _ = writeln!(text, "  CPU      {}, the version before {}", cpu(candidate), cpu(incumbent));
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

fn cpu(cost: &Cost) -> String {
    match cost.rows {
        0 => "unknown".into(),
        rows => format!("{} ns a row", cost.cpu.as_nanos() / u128::from(rows)),
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
