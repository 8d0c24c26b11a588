//! `wasmill replay`: recorded events into a Kinesis stream, as if they happened now.

mod arguments;
mod view;

pub use arguments::Arguments;

use super::Exit;
use crate::shutdown::Shutdown;
use crate::terminal::Terminal;
use std::time::Duration;
use tokio::sync::watch;
use view::View;
use wasmill_connect::replay::playback::{self, Playback, Snapshot};
use wasmill_stream::{Error, Result};

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    let playback = arguments.playback()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::unavailable("start threads").with_source(error))?;
    let view = View::new(terminal, arguments.statistics.map(|period| period.duration()), playback.speedup);
    let result = runtime.block_on(play(playback, view, terminal));
    // A thread that waits for an object must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn play(playback: Playback, mut view: View, terminal: &Terminal) -> Result<Exit> {
    let mut shutdown = Shutdown::of_process()?;
    let (stop, stopped) = watch::channel(false);
    let (shown, mut snapshots) = watch::channel(Snapshot::default());
    let mut playing = std::pin::pin!(playback::play(playback, shown, stopped));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            ended = &mut playing => {
                let tally = ended?;
                view.end(&tally);
                return Ok(Exit::Done);
            }
            Ok(()) = snapshots.changed() => view.show(&snapshots.borrow_and_update()),
            () = shutdown.asked() => {
                if is_stopping {
                    return Ok(Exit::Interrupted);
                }
                is_stopping = true;
                terminal.note("stopping: what was sent still arrives; Ctrl-C again ends at once");
                stop.send_replace(true);
            }
        }
    }
}
