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

use crate::digest::sha256;
use crate::job::{Followed, Origin};
use crate::live::Live;
use crate::terminal::Terminal;
use bell::Bell;
use eye::{Eye, Sight};
use follow::Follower;
use judge::{Judge, Role};
use settle::Settle;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use wasmill_plugin::Limits;
use wasmill_stream::Error;

/// How often to look without having heard anything: events get lost, and some file systems give none.
const POLL: Duration = Duration::from_secs(2);
/// A longer job file is none.
const LONGEST_JOB_FILE: u64 = 1 << 20;

/// Follows everything that a job was made of, until it is dropped. Says what it does, and why it does not.
pub async fn watch(live: Live, terminal: Terminal) {
    let bell = Arc::new(Bell::new(terminal.clone()));
    let mut followed = JoinSet::new();
    let Followed { plugins, are_signed } = live.followed();
    let plugins = plugins.into_iter().map(|(path, names)| (path, Role::Plugin(names)));
    let job_file = (live.file().path().to_owned(), Role::JobFile);
    for (listener, (path, role)) in [job_file].into_iter().chain(plugins).enumerate() {
        let follower = Follower {
            listener,
            eye: eye(path, &role, are_signed),
            settle: Settle::new(known(&live, &role)),
            judge: Judge { role, live: live.clone(), terminal: terminal.clone() },
        };
        followed.spawn(follower.follow(bell.clone()));
    }
    while let Some(ended) = followed.join_next().await {
        let error = match ended {
            Ok(Err(error)) => error,
            Ok(Ok(never)) => match never {},
            Err(error) => Error::internal("a path is not followed any more").with_source(error),
        };
        terminal.note(&format!("watch: {}", error.report()));
    }
}

/// What looks at a path. Where components are signed, a new signature is a change like any other.
fn eye(path: PathBuf, role: &Role, are_signed: bool) -> Eye {
    match role {
        Role::JobFile => Eye::new(path, LONGEST_JOB_FILE),
        Role::Plugin(_) if are_signed => {
            let signature = Origin::Path(path.clone()).signature();
            Eye::new(path, Limits::LARGEST_COMPONENT.bytes()).beside(signature.into())
        }
        Role::Plugin(_) => Eye::new(path, Limits::LARGEST_COMPONENT.bytes()),
    }
}

/// What was at a path when the job read it, as far as that is known: whatever else is there now has changed meanwhile.
fn known(live: &Live, role: &Role) -> Option<Sight> {
    match role {
        Role::JobFile => {
            let text = live.file().text().as_bytes();
            Some(Sight::File { digest: sha256(text).into(), is_whole: whole::is_whole(text), beside: None })
        }
        // What a step runs is compared with when the path is judged for the first time.
        Role::Plugin(_) => None,
    }
}
