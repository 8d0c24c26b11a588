//! The table `[swap]`: how versions that take over while the job runs have to prove themselves.

use std::time::Duration;
use wasmill_engine::Bounds;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::units::Period;

/// What is asked of a version that takes over in a running job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SwapSettings {
    /// How long the version before stays ready to be put back.
    pub probation: Duration,
    /// How far the new one may go meanwhile.
    pub bounds: Bounds,
    /// How long the job can be rewound to the checkpoint before it.
    pub rewind: Duration,
}

impl Default for SwapSettings {
    fn default() -> Self {
        Self { probation: Duration::from_secs(30), bounds: Bounds::default(), rewind: Duration::from_secs(600) }
    }
}

/// Reads it.
pub fn read(mut table: Section<'_>, problems: &mut Problems) -> SwapSettings {
    let mut settings = SwapSettings::default();
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
    if let Some((cpu, place)) = table.located::<f64>("cpu", problems) {
        if cpu.is_nan() || cpu <= 0.0 {
            let message =
                format!("swap: `cpu` is {cpu}, expected a multiple of the CPU time that the version before takes");
            problems.push_hint(place, message, "such as 2.0");
        }
        settings.bounds.cpu = Some(cpu);
    }
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
