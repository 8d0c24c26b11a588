//! The table `[checkpoint]`: where checkpoints are kept, how often one is taken, how many stay.

use std::time::Duration;
use wasmill_connect::checkpoint_store::{self, StorePlace};
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::units::Period;

/// How a job keeps checkpoints. Nothing is opened yet.
#[derive(Debug, Clone)]
pub struct CheckpointSettings {
    /// Where.
    pub place: StorePlace,
    /// From the end of one to the begin of the next.
    pub interval: Duration,
    /// How many stay, besides savepoints.
    pub retain: usize,
}

/// Reads it. Without `to` checkpoints are in the folder `checkpoints/JOB`.
pub fn read(job: &str, mut table: Section<'_>, problems: &mut Problems) -> Option<CheckpointSettings> {
    let interval = table.located::<Period>("interval", problems);
    if let Some((interval, place)) = &interval
        && interval.millis() == 0
    {
        problems.push(place.clone(), "checkpoint: `interval` must be longer than zero");
    }
    let retain = table.located::<usize>("retain", problems);
    if let Some((0, place)) = &retain {
        problems.push(place.clone(), "checkpoint: `retain` must be at least 1, the checkpoint to go on from");
    }
    let place = checkpoint_store::check(&mut table, &format!("checkpoints/{job}"), problems);
    table.finish(problems);
    Some(CheckpointSettings {
        place: place?,
        interval: interval.map_or(Duration::from_secs(10), |(interval, _)| interval.duration()),
        retain: retain.map_or(3, |(retain, _)| retain),
    })
}
