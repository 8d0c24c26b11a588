//! The manifests of a job in its store: `manifest/NUMBER`, numbered on without gaps. A manifest is published by creating
//! its name, which only one writer can. A run begins with a manifest of its own, so whoever published before finds the next
//! number taken, or a greater one if that has been removed since, and stops: that is the fence.

mod back;
mod fence;
mod published;

pub use fence::Fence;

use published::PUBLISHED;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wasmill_stream::checkpoint::{Created, Manifest, PluginMark, Store, Undecodable};
use wasmill_stream::{Error, ErrorKind, Result, time};

const MANIFESTS: &str = "manifest/";
const SAVEPOINTS: &str = "savepoint/";
const STATES: &str = "state/";

/// The objects that hold components, by their SHA-256 in hex.
pub const COMPONENTS: &str = "plugin/";

/// First and longest pause before something is tried again that time may cure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The manifests of one job.
#[derive(Clone)]
pub struct Journal {
    store: Arc<dyn Store>,
    /// What manifests name, by their number: they never change, and many may be kept.
    known: Arc<Mutex<HashMap<u64, Arc<[String]>>>>,
}

impl Journal {
    /// The journal in a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Arc::default() }
    }

    /// Where it is, for messages.
    pub fn place(&self) -> &str {
        self.store.place()
    }

    /// The numbers of all manifests, ascending, those included that were published and have vanished.
    pub async fn numbers(&self) -> Result<Vec<u64>> {
        // Marks first: what is published between the two lists must not look as if it had vanished.
        let mut numbers = self.list(PUBLISHED).await?;
        numbers.append(&mut self.list(MANIFESTS).await?);
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    async fn list(&self, kind: &str) -> Result<Vec<u64>> {
        let names = self.store.list(kind).await?;
        Ok(names.iter().filter_map(|name| name.strip_prefix(kind)?.parse().ok()).collect())
    }

    /// One manifest; `None` if there is none of this number. One that has vanished is an error.
    pub async fn manifest(&self, number: u64) -> Result<Option<Manifest>> {
        let name = manifest_name(number);
        let found = self.read(&name).await?;
        match &found {
            // The next number is counted from it: a copy must not pass for the newest one.
            Some(manifest) if manifest.number != number => {
                let how = format!("it says that it is number {}", manifest.number);
                return Err(Undecodable::Damaged(how).error(&format!("{name} in {}", self.place())));
            }
            Some(_) => {}
            None => self.must_not_miss(number).await?,
        }
        Ok(found)
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

    /// The newest manifest; `None` if there is none at all. If it is damaged, gone or too new, that is an error which names the
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
        for mark in manifest.plugins.values() {
            if let Err(error) = self.verify_component(mark).await {
                problems.push(error);
            }
        }
        problems
    }

    /// Whether a component that is kept is what its name says. One that the job file names as well need not be there.
    async fn verify_component(&self, mark: &PluginMark) -> Result<()> {
        let name = format!("{COMPONENTS}{}", mark.sha256);
        let damaged = |how: &str| Err(Error::new(ErrorKind::Corrupt, format!("{name} in {} {how}", self.place())));
        match self.store.get(&name).await? {
            Some(bytes) => {
                let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                if digest == mark.sha256 { Ok(()) } else { damaged("is damaged: its digest is another one") }
            }
            None if mark.declared.is_some() => damaged("is gone, and the job file names another component"),
            None => Ok(()),
        }
    }

    /// Publishes the first manifest of a run, unless its number has been taken meanwhile. Whoever was running is fenced off.
    pub async fn begin(&self, manifest: &Manifest) -> Result<Created> {
        self.add(manifest.number, manifest.encode()?.into()).await
    }

    /// Publishes the next manifest of a run. Tries for as long as time may cure it.
    pub async fn publish(&self, manifest: &Manifest) -> Result<()> {
        let bytes = bytes::Bytes::from(manifest.encode()?);
        match patiently(self.place(), || self.add(manifest.number, bytes.clone())).await? {
            Created::New => Ok(()),
            Created::Taken => Err(self.fenced().await),
        }
    }

    /// Takes a number and marks it as published.
    async fn add(&self, number: u64, bytes: bytes::Bytes) -> Result<Created> {
        if self.store.create(&manifest_name(number), bytes).await? == Created::Taken {
            return Ok(Created::Taken);
        }
        // While this process stood still, another run may have used the number, and removed that manifest since because it
        // was old. Then there is a newer one, as the newest is never removed.
        if self.list(MANIFESTS).await?.iter().any(|other| *other > number) {
            self.store.delete(&manifest_name(number)).await?;
            return Ok(Created::Taken);
        }
        patiently(self.place(), || self.mark(number)).await?;
        Ok(Created::New)
    }

    /// Removes manifests beyond the newest `retain`, and the states that neither a manifest nor a savepoint names any more.
    /// Leaves alone what a run may have written for a manifest that it has not published yet, and the manifests since the
    /// oldest checkpoint to which the job can be rewound.
    pub async fn prune(&self, retain: usize) -> Result<Pruned> {
        let numbers = self.numbers().await?;
        let needed = match numbers.last() {
            Some(newest) => self.manifest(*newest).await?.and_then(|newest| needed(&newest)).unwrap_or(u64::MAX),
            None => u64::MAX,
        };
        let old = numbers.len().saturating_sub(retain.max(1)).min(numbers.partition_point(|number| *number < needed));
        let (old, kept) = numbers.split_at(old);
        let named = self.named(kept).await;
        for number in old {
            self.unmark(*number).await?;
            self.store.delete(&manifest_name(*number)).await?;
            self.known().remove(number);
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
            let known = self.known().get(number).cloned();
            let objects = match known {
                Some(objects) => objects,
                None => self.manifest(*number).await?.iter().flat_map(objects).collect(),
            };
            named.extend(objects.iter().cloned());
            self.known().insert(*number, objects);
        }
        for name in self.savepoints().await? {
            named.extend(self.savepoint(&name).await?.iter().flat_map(objects));
        }
        Ok(named)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, Arc<[String]>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The number of the manifest for which an object with state was written; see [`state_name`].
fn written_for(state: &str) -> Option<u64> {
    state.strip_prefix(STATES)?.split('-').nth(1)?.parse().ok()
}

/// The oldest manifest that has to be kept so that the job can be rewound.
fn needed(newest: &Manifest) -> Option<u64> {
    let point = newest.points.iter().map(|point| point.number);
    point.chain(newest.withdrawal.map(|withdrawal| withdrawal.after)).min()
}

fn objects(manifest: &Manifest) -> impl Iterator<Item = String> {
    let segments = manifest.steps.values().flat_map(|step| &step.runs).flat_map(|run| &run.segments);
    segments.map(|segment| segment.name.clone())
}
