//! The fence: a run that has begun later leaves no number to those before it.

use super::{Journal, MANIFESTS, manifest_name};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{SystemTime, UNIX_EPOCH};
use wasmill_stream::checkpoint::Manifest;
use wasmill_stream::{Error, ErrorKind, Result};

/// Who may publish.
#[derive(Debug, Clone)]
pub struct Fence {
    /// The number of the run.
    pub run: u64,
    /// Names the writer.
    pub writer: String,
    /// The number of its newest manifest.
    pub number: u64,
}

impl Fence {
    /// Of a run that goes on from `last`.
    pub fn after(last: Option<&Manifest>) -> Self {
        let (number, run) = last.map_or((0, 0), |last| (last.number, last.run));
        Self::behind(number, run)
    }

    /// Of a run that begins behind this manifest and this run.
    fn behind(number: u64, run: u64) -> Self {
        Self { run: seconds().max(run + 1), writer: writer(), number: number + 1 }
    }
}

impl Journal {
    /// The fence of a run that begins anew or goes back: behind every manifest, and above every run that can be read. What is
    /// damaged does not hold it up; the clock makes up for a run that cannot be read.
    pub async fn fence(&self) -> Result<Fence> {
        let (mut newest, mut run) = (0, 0);
        for number in self.numbers().await? {
            newest = number;
            match self.manifest(number).await {
                Ok(manifest) => run = manifest.map_or(run, |manifest| run.max(manifest.run)),
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Fence::behind(newest, run))
    }

    /// An error if another run has begun since `fence` published last.
    pub async fn check(&self, fence: &Fence) -> Result<()> {
        let is_own = |bytes: &[u8]| Manifest::decode(bytes).is_ok_and(|manifest| manifest.writer == fence.writer);
        match self.store.get(&manifest_name(fence.number + 1)).await? {
            Some(next) if is_own(&next) => return Ok(()),
            Some(_) => return Err(self.fenced().await),
            None => {}
        }
        if self.store.get(&manifest_name(fence.number)).await?.is_some() {
            return Ok(());
        }
        // Removed as an old one: by another run, or by this one, which has gone on this very moment.
        let newest = self.list(MANIFESTS).await?.into_iter().max();
        let Some(newest) = newest.filter(|newest| *newest > fence.number) else { return Ok(()) };
        match self.store.get(&manifest_name(newest)).await? {
            Some(newest) if !is_own(&newest) => Err(self.fenced().await),
            _ => Ok(()),
        }
    }

    pub(super) async fn fenced(&self) -> Error {
        let other = match self.newest().await {
            Ok(Some(manifest)) => format!("run {} since {}", manifest.run, manifest.at),
            _ => "another run".to_owned(),
        };
        let message = format!("{}: {other} has taken over this job", self.place());
        Error::new(ErrorKind::Denied, message)
            .hint("one job runs on one host at a time; this one has stopped and committed nothing since")
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs()).max(1)
}

/// A name that no other writer has: two seeds of the system's randomness.
fn writer() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", random(), random())
}
