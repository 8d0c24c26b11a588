//! `wasmill run --watch`: follows the plugins of a running job and its job file, and hands on what has changed there. Events
//! of the file system say only when to look; what has changed, and whether it is done, is told by the content.

mod bell;
mod content;
mod eye;
mod follow;
mod judge;
mod places;
mod settle;
mod sources;
mod whole;

use crate::job;
use crate::offer::Steps;
use bell::Bell;
use eye::Eye;
use follow::Follower;
use judge::{Judge, Role};
use settle::Settle;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use wasmill_plugin::Limits;
use wasmill_stream::Result;

/// How often to look without having heard anything: events get lost, and some file systems give none.
const POLL: Duration = Duration::from_secs(2);
/// A longer job file is none.
const LONGEST_JOB_FILE: u64 = 1 << 20;

/// Follows everything that a job was made of, until it is dropped.
pub async fn watch(steps: Steps) -> Result<()> {
    let bell = Arc::new(Bell::new(steps.terminal.clone()));
    let mut tasks = JoinSet::new();
    for (listener, (path, role)) in paths(&steps).into_iter().enumerate() {
        let most = match role {
            Role::JobFile => LONGEST_JOB_FILE,
            Role::Plugin(_) => Limits::LARGEST_COMPONENT.bytes(),
        };
        let known = known(&steps, &role);
        let follower = Follower {
            listener,
            eye: Eye::new(path, most),
            settle: Settle::new(known),
            judge: Judge { role, steps: steps.clone() },
        };
        tasks.spawn(follower.follow(bell.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| wasmill_stream::Error::internal(format!("watch: {error}")))??;
    }
    Ok(())
}

/// What to follow. A path is followed once, however many steps use it.
fn paths(steps: &Steps) -> Vec<(PathBuf, Role)> {
    let mut plugins: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for (step, path) in job::plugin_paths(&steps.file, &steps.parameters) {
        plugins.entry(path).or_default().push(step);
    }
    let plugins = plugins.into_iter().map(|(path, names)| (path, Role::Plugin(names)));
    [(steps.file.path().to_owned(), Role::JobFile)].into_iter().chain(plugins).collect()
}

/// What was at a path when the job read it, as far as that is known: whatever else is there now has changed meanwhile.
fn known(steps: &Steps, role: &Role) -> Option<eye::Sight> {
    match role {
        Role::JobFile => {
            let text = steps.file.text().as_bytes();
            let digest = crate::digest::sha256(text).into();
            Some(eye::Sight::File { digest, is_whole: whole::is_whole(text) })
        }
        // What a step runs need not be what was there: it is compared with when the path is judged.
        Role::Plugin(_) => None,
    }
}
