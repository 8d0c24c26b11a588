//! Follows one path for as long as the job runs: looks when the bell rings and from time to time, waits until what changes
//! has settled, and then has it judged, once.

use super::bell::Bell;
use super::eye::{Eye, Sight};
use super::settle::{Next, Settle};
use super::{Judge, POLL};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;
use wasmill_stream::{Error, Result};

/// After a ring, others follow: they are answered by one look.
const PAUSE: Duration = Duration::from_millis(20);

/// What follows one path.
pub struct Follower {
    /// Which of the bell's listeners it is.
    pub listener: usize,
    /// What looks at the path.
    pub eye: Eye,
    /// What was seen there when it was judged last.
    pub settle: Settle<Sight>,
    /// Who judges it.
    pub judge: Judge,
}

impl Follower {
    /// Follows until it is dropped, or cannot any more.
    pub async fn follow(mut self, bell: Arc<Bell>) -> Result<Infallible> {
        let mut rings = bell.listen();
        loop {
            rings.mark_unchanged();
            let (mut eye, bell) = (self.eye, bell.clone());
            let listener = self.listener;
            let looking = spawn_blocking(move || {
                let (mut sight, folders) = eye.look();
                // What has happened there before it was watched was not heard.
                if bell.watch(listener, folders) {
                    sight = eye.look().0;
                }
                (eye, sight)
            });
            let (eye, sight) = looking.await.map_err(|error| Error::internal(format!("look at a path: {error}")))?;
            self.eye = eye;
            let wait = match self.settle.look(sight.clone(), Instant::now()) {
                Next::Rest => POLL,
                Next::Again(at) => at.saturating_duration_since(Instant::now()).min(POLL),
                Next::Judge => {
                    let taken = self.eye.take();
                    self.judge.judge(self.eye.path(), sight, taken).await;
                    continue;
                }
            };
            tokio::select! {
                _ = rings.changed() => tokio::time::sleep(PAUSE).await,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}
