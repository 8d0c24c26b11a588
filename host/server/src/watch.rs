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
use crate::job::Origin;
use crate::live::Live;
use crate::terminal::Terminal;
pub use bell::Bell;
use eye::{Eye, Sight};
use follow::Follower;
use judge::{Judge, Role};
use settle::Settle;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use wasmill_plugin::Limits;

/// How often to look without having heard anything: events get lost, and some file systems give none.
const POLL: Duration = Duration::from_secs(2);
/// A longer job file is none.
const LONGEST_JOB_FILE: u64 = 1 << 20;

/// Follows everything that a job was made of, until it is dropped. Says what it does, and why it does not. `refused`: the
/// text of a job file with which the job could not start.
pub async fn watch(live: Live, refused: Option<String>, bell: Arc<Bell>, terminal: Terminal) {
    let mut watch = Watch { bell, live, refused, terminal, followed: HashMap::new() };
    loop {
        watch.update();
        tokio::time::sleep(POLL).await;
    }
}

struct Watch {
    bell: Arc<Bell>,
    live: Live,
    refused: Option<String>,
    terminal: Terminal,
    /// What is followed, by whom, and the number of that listener. It ends when it is taken out.
    followed: HashMap<Followed, (usize, JoinSet<()>)>,
}

/// A path, what it is to the job, and whether there is a signature beside it.
type Followed = (PathBuf, Role, bool);

impl Watch {
    /// Follows what the job file names now: another one may have been applied.
    fn update(&mut self) {
        let uses = self.live.uses();
        let are_signed = uses.are_signed;
        let plugins = uses.paths().into_iter().map(|(path, names)| (path, Role::Plugin(names), are_signed));
        let job_file = (self.live.file().path().to_owned(), Role::JobFile, false);
        let wanted: HashSet<Followed> = [job_file].into_iter().chain(plugins).collect();
        let bell = &self.bell;
        self.followed.retain(|path, (listener, _)| {
            let is_wanted = wanted.contains(path);
            if !is_wanted {
                bell.watch(*listener, BTreeSet::new());
            }
            is_wanted
        });
        for followed in wanted {
            if !self.followed.contains_key(&followed) {
                let listener = self.bell.listener();
                let following = self.follow(listener, followed.clone());
                self.followed.insert(followed, (listener, following));
            }
        }
    }

    fn judge(&self, role: Role) -> Judge {
        let declared = match &role {
            Role::JobFile => None,
            Role::Plugin(names) => names.first().and_then(|name| self.live.declared(name)),
        };
        Judge { role, live: self.live.clone(), terminal: self.terminal.clone(), declared, offered: None }
    }

    /// What was at a path when the job read it, as far as that is known: whatever else is there now has changed meanwhile.
    fn known(&self, role: &Role) -> Option<Sight> {
        match role {
            Role::JobFile => {
                let file = self.live.file();
                let text = self.refused.as_deref().unwrap_or(file.text()).as_bytes();
                Some(Sight::File { digest: sha256(text).into(), is_whole: whole::is_whole(text), beside: None })
            }
            // The judge knows: for a folder of sources it has to be built to be told.
            Role::Plugin(_) => None,
        }
    }

    fn follow(&self, listener: usize, (path, role, is_signed): Followed) -> JoinSet<()> {
        let follower = Follower {
            listener,
            eye: eye(path, &role, is_signed),
            settle: Settle::new(self.known(&role)),
            judge: self.judge(role),
        };
        let (bell, terminal) = (self.bell.clone(), self.terminal.clone());
        let mut following = JoinSet::new();
        following.spawn(async move {
            let Err(error) = follower.follow(bell).await;
            terminal.note(&format!("watch: a path is not followed any more: {}", error.report()));
        });
        following
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (listener, _) in self.followed.values() {
            self.bell.watch(*listener, BTreeSet::new());
        }
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
