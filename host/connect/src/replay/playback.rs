//! Plays recorded files or objects into a Kinesis stream, as fast as it goes or in step with their event time. The command
//! `wasmill replay` shows it. A thread reads; here events wait for their time, are sent, and are counted when they have
//! arrived. Markers say up to which event time everything has: whatever is tried again holds them back.

mod acknowledged;
mod event;
mod player;
mod reader;
mod settings;
mod tally;

pub use settings::{AdaptTime, MarkerSettings, Playback};
pub use tally::{Snapshot, Tally};

use crate::producer::Producer;
use player::Player;
use reader::Reading;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use wasmill_stream::{Error, ErrorKind, Result};

/// Plays until the end of the input, or until `stop` is true; then what was sent is still confirmed.
pub async fn play(
    playback: Playback,
    shown: watch::Sender<Snapshot>,
    mut stop: watch::Receiver<bool>,
) -> Result<Tally> {
    let producer = Producer::connect(&playback.target()?, playback.aggregate).await?;
    let Reading { blocks, thread, bytes, taken } = reader::start(&playback).await?;
    let mut player = Player::new(playback, producer, blocks, taken, bytes);
    tokio::select! {
        result = player.run(&shown) => result?,
        _ = stop.wait_for(|stop| *stop) => player.tally.was_stopped = true,
    }
    // A reader that waits for room in its queue ends.
    player.blocks.close();
    player.drain(&shown).await?;
    let panicked = |_| Error::new(ErrorKind::Corrupt, "the reader of the input panicked");
    let joined = tokio::task::spawn_blocking(|| thread.join());
    let joined = joined.await.map_err(|error| Error::internal("join the reader").with_source(error))?;
    // What was read before a failure has arrived, but a marker must not say that this was all.
    joined.map_err(panicked)??;
    player.last_marker().await?;
    player.drain(&shown).await?;
    Ok(player.tally)
}

/// Milliseconds since 1970.
fn wall_clock() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
