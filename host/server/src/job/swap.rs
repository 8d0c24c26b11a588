//! The table `[swap]`: how versions that take over while the job runs have to prove themselves.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use wasmill_engine::{Bounds, Mode};
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::plugin::Version;
use wasmill_stream::units::Period;

/// What becomes of windows that are open when a version takes over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OpenWindows {
    /// The new version goes on with them.
    #[default]
    Continue,
    /// The version that has opened them closes them.
    FinishOld,
}

/// What is asked of a version that takes over in a running job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SwapSettings {
    /// What becomes of open windows.
    pub open_windows: OpenWindows,
    /// How long the version before stays ready to be put back.
    pub probation: Duration,
    /// How far the new one may go meanwhile.
    pub bounds: Bounds,
    /// How long the job can be rewound to the checkpoint before it.
    pub rewind: Duration,
}

impl Default for SwapSettings {
    fn default() -> Self {
        Self {
            open_windows: OpenWindows::default(),
            probation: Duration::from_secs(30),
            bounds: Bounds::default(),
            rewind: Duration::from_secs(600),
        }
    }
}

impl SwapSettings {
    /// How a version takes over, and how long the one before stays ready at least. What is not asked for is as the job file
    /// says; that does not concern versions which have no windows.
    pub fn mode(
        &self,
        version: &Version,
        probation: Option<Duration>,
        open_windows: Option<OpenWindows>,
    ) -> (Mode, Duration) {
        let in_file = match version {
            Version::Aggregate(_) => self.open_windows,
            Version::Transform(_) | Version::Process(_) => OpenWindows::Continue,
        };
        let mode = match open_windows.unwrap_or(in_file) {
            OpenWindows::Continue => Mode::Probation,
            OpenWindows::FinishOld => Mode::Transition,
        };
        (mode, probation.unwrap_or(self.probation))
    }
}

/// Reads it.
pub fn read(mut table: Section<'_>, problems: &mut Problems) -> SwapSettings {
    let mut settings = SwapSettings::default();
    if let Some(open_windows) = table.optional("open_windows", problems) {
        settings.open_windows = open_windows;
    }
    if let Some(probation) = table.optional::<Period>("probation", problems) {
        settings.probation = probation.duration();
    }
    if let Some(rewind) = table.optional::<Period>("rewind", problems) {
        settings.rewind = rewind.duration();
    }
    if let Some((rejects, place)) = table.located::<f64>("rejects", problems) {
        if !(0.0..=1.0).contains(&rejects) {
            problems.push(place, format!("swap: `rejects` is {rejects}, expected a share of the rows, 0.0 to 1.0"));
        }
        settings.bounds.rejects = Some(rejects);
    }
    settings.bounds.cpu = multiple(&mut table, "cpu", "CPU time", problems);
    settings.bounds.latency = multiple(&mut table, "latency", "time", problems);
    if let Some(([least, most], place)) = table.located::<[f64; 2]>("output", problems) {
        if !(0.0 <= least && least <= most) {
            let message = format!("swap: `output` is [{least}, {most}], expected the least and the most results");
            problems.push_hint(place, message, "as multiples of the version before, such as [0.5, 2.0]");
        }
        settings.bounds.output = Some((least, most));
    }
    table.finish(problems);
    settings
}

/// A bound as a multiple of what the version before takes.
fn multiple(table: &mut Section<'_>, key: &'static str, of: &str, problems: &mut Problems) -> Option<f64> {
    let (bound, place) = table.located::<f64>(key, problems)?;
    if bound.is_nan() || bound <= 0.0 {
        let message =
            format!("swap: `{key}` is {bound}, expected a multiple of the {of} that the version before takes");
        problems.push_hint(place, message, "such as 2.0");
    }
    Some(bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobFile, Parameters, draft};

    /// What is said of a table, and what is made of it.
    fn read(table: &str) -> (Vec<String>, SwapSettings) {
        let text = format!(
            "[source.a]\ntype = \"stdin\"\nevent_time = \"/t: time\"\n[sink.b]\ninput = \"a\"\ntype = \"stdout\"\n[swap]\n{table}"
        );
        let mut problems = Problems::default();
        let nothing = Parameters::new::<String, String>([]);
        let draft = draft::read(&JobFile::new("job.toml", text.as_str()), &nothing, &mut problems);
        let said = problems.into_sorted().iter().map(|problem| problem.message.clone()).collect();
        (said, draft.expect("it is a table").swap)
    }

    /// Everything that can be said → it is understood; what makes no sense → each is named.
    #[test]
    fn tables() {
        let (problems, settings) = read(
            "open_windows = \"finish-old\"\nprobation = \"5s\"\nrejects = 0.5\ncpu = 2.0\nlatency = 3.0\noutput = [0.5, 2.0]",
        );
        let bounds = Bounds { rejects: Some(0.5), cpu: Some(2.0), latency: Some(3.0), output: Some((0.5, 2.0)) };
        let probation = Duration::from_secs(5);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            settings,
            SwapSettings {
                open_windows: OpenWindows::FinishOld,
                probation,
                bounds,
                rewind: SwapSettings::default().rewind
            }
        );
        let (problems, _) =
            read("open_windows = \"half\"\nrejects = 1.5\ncpu = nan\nlatency = 0.0\noutput = [2.0, 0.5]");
        let words = ["`open_windows`", "`rejects` is 1.5", "`cpu` is NaN", "`latency` is 0", "`output` is [2, 0.5]"];
        assert_eq!(problems.len(), words.len(), "{problems:?}");
        assert!(problems.iter().zip(words).all(|(problem, words)| problem.contains(words)), "{problems:?}");
    }
}
