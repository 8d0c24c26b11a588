//! The manifests of a job in its store: `manifest/NUMBER`, numbered on without gaps. A manifest is published by creating
//! its name, which only one writer can. A run begins with a manifest of its own, so whoever published before finds the next
//! number taken, or a newer one there, and stops: that is the fence.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasmill_stream::checkpoint::{Created, Manifest, Store, Undecodable};
use wasmill_stream::{Error, ErrorKind, Result, time};

const MANIFESTS: &str = "manifest/";
const SAVEPOINTS: &str = "savepoint/";
const STATES: &str = "state/";

/// First and longest pause before something is tried again that time may cure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The manifests of one job.
#[derive(Clone)]
pub struct Journal {
    store: Arc<dyn Store>,
}

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
    /// The journal in a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Where it is, for messages.
    pub fn place(&self) -> &str {
        self.store.place()
    }

    /// The numbers of all manifests, ascending.
    pub async fn numbers(&self) -> Result<Vec<u64>> {
        let names = self.store.list(MANIFESTS).await?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| number(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// One manifest; `None` if there is none of this number.
    pub async fn manifest(&self, number: u64) -> Result<Option<Manifest>> {
        let name = manifest_name(number);
        match self.read(&name).await? {
            // The next number is counted from it: a copy must not pass for the newest one.
            Some(manifest) if manifest.number != number => {
                let how = format!("it says that it is number {}", manifest.number);
                Err(Undecodable::Damaged(how).error(&format!("{name} in {}", self.place())))
            }
            found => Ok(found),
        }
    }

    /// A savepoint by its name.
    pub async fn savepoint(&self, name: &str) -> Result<Option<Manifest>> {
        self.read(&format!("{SAVEPOINTS}{name}")).await
    }

    /// The names of all savepoints.
    pub async fn savepoints(&self) -> Result<Vec<String>> {
        let names = self.store.list(SAVEPOINTS).await?;
        Ok(names.iter().filter_map(|name| name.strip_prefix(SAVEPOINTS)).map(str::to_owned).collect())
    }

    /// Keeps a manifest under a name, which must be free.
    pub async fn keep(&self, name: &str, manifest: &Manifest) -> Result<()> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(fits) {
            return Err(Error::invalid(format!("savepoint \"{name}\": use a-z, 0-9, -, _ and . in names")));
        }
        if name.chars().all(|c| c.is_ascii_digit()) {
            let message =
                format!("savepoint \"{name}\": a name of digits alone is taken for the number of a checkpoint");
            return Err(Error::invalid(message).hint("put a letter into it"));
        }
        match self.store.create(&format!("{SAVEPOINTS}{name}"), manifest.encode()?.into()).await? {
            Created::New => Ok(()),
            Created::Taken => Err(Error::invalid(format!("there is a savepoint \"{name}\" already"))),
        }
    }

    async fn read(&self, name: &str) -> Result<Option<Manifest>> {
        let Some(bytes) = self.store.get(name).await? else { return Ok(None) };
        let named = |problem: Undecodable| problem.error(&format!("{name} in {}", self.place()));
        Manifest::decode(&bytes).map(Some).map_err(named)
    }

    /// The newest manifest; `None` if there is none at all. If it is damaged or too new, that is an error which names the
    /// newest one that is whole: going back to an older one is for people to decide.
    pub async fn newest(&self) -> Result<Option<Manifest>> {
        let numbers = self.numbers().await?;
        let Some(&newest) = numbers.last() else { return Ok(None) };
        match self.manifest(newest).await {
            Ok(Some(manifest)) => Ok(Some(manifest)),
            Ok(None) => Err(Error::unavailable(format!("{} has gone", manifest_name(newest)))),
            Err(error) => Err(self.advise(error, newest).await),
        }
    }

    /// Adds to an error about a damaged manifest or state which older manifest is whole.
    pub async fn advise(&self, error: Error, damaged: u64) -> Error {
        if error.kind() != ErrorKind::Corrupt {
            return error;
        }
        let older = self.numbers().await.unwrap_or_default().into_iter().rev().filter(|number| *number < damaged);
        for number in older {
            if let Ok(Some(manifest)) = self.manifest(number).await
                && self.verify(&manifest).await.is_empty()
            {
                let help = format!(
                    "the newest whole checkpoint is number {number} of {}; go back to it with \
                     `wasmill checkpoint restore JOB {number}`: what was read since is read again",
                    manifest.at
                );
                return error.hint(help);
            }
        }
        error.hint("no older checkpoint is whole; `wasmill run --fresh` starts without one")
    }

    /// Reads every object that a manifest names. Returns what is wrong.
    pub async fn verify(&self, manifest: &Manifest) -> Vec<Error> {
        let mut problems = Vec::new();
        for segment in manifest.steps.values().flat_map(|step| &step.runs).flat_map(|run| &run.segments) {
            if let Err(error) = super::runs::read(&*self.store, segment).await {
                problems.push(error);
            }
        }
        problems
    }

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

    /// Publishes the first manifest of a run, unless its number has been taken meanwhile. Whoever was running is fenced off.
    pub async fn begin(&self, manifest: &Manifest) -> Result<Created> {
        self.create(manifest).await
    }

    /// Publishes the next manifest of a run. Tries for as long as time may cure it.
    pub async fn publish(&self, manifest: &Manifest) -> Result<()> {
        match patiently(self.place(), || self.create(manifest)).await? {
            Created::New => Ok(()),
            Created::Taken => Err(self.fenced(manifest.number).await),
        }
    }

    /// Creates a manifest whose number nobody has or had. A host that stood still may find a number free that another run
    /// had: it was pruned since. But then there is a newer one, as pruning never removes the newest.
    async fn create(&self, manifest: &Manifest) -> Result<Created> {
        let name = manifest_name(manifest.number);
        let created = self.store.create(&name, manifest.encode()?.into()).await?;
        if created == Created::New && self.newest_number().await? > manifest.number {
            self.store.delete(&name).await?;
            return Ok(Created::Taken);
        }
        Ok(created)
    }

    /// An error if another run has begun since `fence` published last. The newest manifest tells: older ones may be gone.
    pub async fn check(&self, fence: &Fence) -> Result<()> {
        loop {
            let newest = self.newest_number().await?;
            if newest <= fence.number {
                return Ok(());
            }
            match self.manifest(newest).await {
                Ok(Some(manifest)) if manifest.writer == fence.writer => return Ok(()),
                // A newer one has come, and this one was pruned.
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Ok(Some(_)) | Err(_) => return Err(self.fenced(newest).await),
            }
        }
    }

    async fn newest_number(&self) -> Result<u64> {
        Ok(self.numbers().await?.last().copied().unwrap_or(0))
    }

    /// The error of a run that wanted to publish `number`, and is not the job's any more.
    async fn fenced(&self, number: u64) -> Error {
        let number = self.newest_number().await.map_or(number, |newest| newest.max(number));
        let other = match self.manifest(number).await {
            Ok(Some(manifest)) => format!("run {} since {}", manifest.run, manifest.at),
            _ => format!("another run, with manifest {number}"),
        };
        let message = format!("{}: {other} has taken over this job", self.place());
        Error::new(ErrorKind::Denied, message)
            .hint("one job runs on one host at a time; this one has stopped and committed nothing since")
    }

    /// Removes manifests beyond the newest `retain`, and the states that neither a manifest nor a savepoint names any more.
    /// Leaves alone what a run may have written for a manifest that it has not published yet.
    pub async fn prune(&self, retain: usize) -> Result<Pruned> {
        let numbers = self.numbers().await?;
        let (old, kept) = numbers.split_at(numbers.len().saturating_sub(retain.max(1)));
        let named = self.named(kept).await;
        for number in old {
            self.store.delete(&manifest_name(*number)).await?;
        }
        let named = named.map_err(|error| error.hint("no state is removed while nobody knows which ones it names"))?;
        let newest = kept.last().copied().unwrap_or(0);
        let mut states = 0;
        for name in self.store.list(STATES).await? {
            if !named.contains(&name) && written_for(&name).is_some_and(|number| number <= newest) {
                self.store.delete(&name).await?;
                states += 1;
            }
        }
        Ok(Pruned { manifests: old.len(), states })
    }

    /// The objects that these manifests and all savepoints name.
    async fn named(&self, numbers: &[u64]) -> Result<BTreeSet<String>> {
        let mut named = BTreeSet::new();
        for number in numbers {
            named.extend(self.manifest(*number).await?.iter().flat_map(objects));
        }
        for name in self.savepoints().await? {
            named.extend(self.savepoint(&name).await?.iter().flat_map(objects));
        }
        Ok(named)
    }

    /// The store itself.
    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }
}

/// What [`Journal::prune`] has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Manifests.
    pub manifests: usize,
    /// Objects with state.
    pub states: usize,
}

/// The name of an object with state: the run that writes it, the manifest it is written for, and which it is.
pub(super) fn state_name(fence: &Fence, number: u64, part: usize) -> String {
    format!("{STATES}{:010}-{number:010}-{part:04}", fence.run)
}

/// Tries until it succeeds or fails for good, with growing pauses.
pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(place: &str, mut act: impl FnMut() -> F) -> Result<T> {
    let mut pause = PAUSES.0;
    loop {
        match act().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!("checkpoints in {place} wait: {}", error.report());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            result => return result,
        }
    }
}

/// Now, as manifests say it.
pub(super) fn now() -> String {
    time::iso8601(crate::discards::wall_clock())
}

fn manifest_name(number: u64) -> String {
    format!("{MANIFESTS}{number:010}")
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix(MANIFESTS)?.parse().ok()
}

/// The number of the manifest for which an object with state was written; see [`state_name`].
fn written_for(state: &str) -> Option<u64> {
    state.strip_prefix(STATES)?.split('-').nth(1)?.parse().ok()
}

fn objects(manifest: &Manifest) -> impl Iterator<Item = String> {
    let segments = manifest.steps.values().flat_map(|step| &step.runs).flat_map(|run| &run.segments);
    segments.map(|segment| segment.name.clone())
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs()).max(1)
}

/// A name that no other writer has: two seeds of the system's randomness.
fn writer() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", random(), random())
}
