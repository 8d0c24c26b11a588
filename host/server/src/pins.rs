//! Versions that were swapped in stay over restarts: the checkpoint says which component ran in place of the one that the
//! job file names, and the checkpoint store has its bytes. A job file that names another component than it did then wins:
//! somebody has deployed that since.

use crate::job::{Given, Job, Origin};
use crate::live::history;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::block_in_place;
use wasmill_connect::component_store::SIGNATURE_ENDING;
use wasmill_engine::{COMPONENTS, Journal, NodeKind, Successor};
use wasmill_plugin::{Grant, Grants};
use wasmill_stream::checkpoint::{Manifest, PluginMark, Store};
use wasmill_stream::plugin::{Identity, Version};
use wasmill_stream::{Error, ErrorKind, Result};

/// How many entries of the history can be gone back to.
const KEPT: usize = 10;

/// What the name of a component ends with where it is kept what was approved for it.
const GRANTS_ENDING: &str = ".grants";

/// A component as it is kept.
pub struct Kept {
    /// The component, with its signature if the job wanted one.
    pub given: Given,
    /// What was approved for it while it was swapped in, beyond what the job file granted.
    pub grants: Grants,
}

impl Kept {
    /// The objects to keep: the component by its digest, and what belongs to it by names that begin with that.
    pub fn objects(self, digest: &str) -> BTreeMap<String, Arc<[u8]>> {
        let mut objects = BTreeMap::from([(digest.to_owned(), self.given.component)]);
        if let Some(signature) = self.given.signature {
            objects.insert(format!("{digest}{SIGNATURE_ENDING}"), signature);
        }
        if self.grants != Grants::default() {
            let names: Vec<_> =
                Grant::ALL.into_iter().filter(|grant| self.grants.has(*grant)).map(Grant::name).collect();
            objects.insert(format!("{digest}{GRANTS_ENDING}"), names.join("\n").into_bytes().into());
        }
        objects
    }
}

/// Makes a version of a component for a step, with what the job file says of that.
pub type LoadVersion<'a> = dyn Fn(&str, Kept) -> Result<Version> + Send + Sync + 'a;

/// Has the job run what the newest checkpoint says, where that is another component than the job file names. Says what.
pub async fn put_back(
    job: &mut Job,
    store: &dyn Store,
    newest: &Manifest,
    load: &LoadVersion<'_>,
) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for (step, mark) in &newest.plugins {
        let Some(declared) = job.declared.get(step) else { continue };
        let PluginMark { name, version: number, sha256, .. } = mark;
        // Or it names the one that takes over from it, by and by.
        let is_next = mark.successor.as_ref().is_some_and(|successor| successor.digest == declared);
        if mark.declared.as_ref() == Some(&declared) || is_next {
            let ran = Identity { name: name.clone(), version: number.clone(), digest: sha256.clone() };
            let version = kept(step, &ran, store, load).await?;
            let node = job.graph.nodes.iter_mut().find(|node| node.name == *step);
            let is_installed = node.is_some_and(|node| install(&mut node.kind, version));
            if is_installed && !is_next {
                said.push(format!(
                    "step {step}: {name} {number} ({sha256:.8}), which was swapped in, not the plugin of the job file"
                ));
            }
        } else if *sha256 != declared {
            match &mark.successor {
                Some(successor) => return Err(in_transition(step, mark, successor)),
                None => continue,
            }
        }
        if let Some(successor) = &mark.successor {
            let (version, bounds) = (kept(step, successor, store, load).await?, job.swap.bounds);
            job.graph.successors.push(Successor { step: step.clone(), version, bounds });
            let Identity { name: new, version, digest } = successor;
            said.push(format!(
                "step {step}: {new} {version} ({digest:.8}) takes over from {name} {number}, which closes the windows that it has opened"
            ));
        }
    }
    Ok(said)
}

/// Two versions share the windows of a step, and the job file names neither.
fn in_transition(step: &str, mark: &PluginMark, successor: &Identity) -> Error {
    let PluginMark { name, version, sha256, .. } = mark;
    let Identity { name: next, version: number, digest } = successor;
    let message = format!(
        "step {step}: {name} {version} ({sha256:.8}) closes the windows that it has opened and {next} {number} ({digest:.8}) has \
         the others, and the job file names a third plugin"
    );
    Error::invalid(message).hint("name one of the two until the first has closed its last window, then the third one")
}

/// A version that ran in a step, from what the store has kept.
async fn kept(step: &str, ran: &Identity, store: &dyn Store, load: &LoadVersion<'_>) -> Result<Version> {
    let digest = &ran.digest;
    let kept = find(store, digest).await?.ok_or_else(|| gone(step, ran, store))?;
    // It compiles: what else runs here must not wait for that.
    let version = block_in_place(|| load(step, kept))?;
    let running = &version.plugin().identity().digest;
    if running != digest {
        let message = format!("step {step}: {} has {running} under the name of {digest}", store.place());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    Ok(version)
}

fn gone(step: &str, ran: &Identity, store: &dyn Store) -> Error {
    let Identity { name, version, digest } = ran;
    let message = format!(
        "step {step} ran {name} {version}, and {} has no component with sha256 {digest} any more",
        store.place()
    );
    Error::invalid(message).hint("`wasmill run --as-filed` goes on with the plugin that the job file names")
}

fn install(kind: &mut NodeKind, version: Version) -> bool {
    match (kind, version) {
        (NodeKind::Source { decoder: Some(plugin), .. } | NodeKind::Transform { plugin }, Version::Transform(new)) => {
            *plugin = new;
        }
        (NodeKind::Aggregate { plugin, .. }, Version::Aggregate(new)) => *plugin = new,
        (NodeKind::Process { plugin, .. }, Version::Process(new)) => *plugin = new,
        _ => return false,
    }
    true
}

/// What is kept of a component.
pub async fn find(store: &dyn Store, digest: &str) -> Result<Option<Kept>> {
    let Some(component) = get(store, digest).await? else { return Ok(None) };
    let signature = get(store, &format!("{digest}{SIGNATURE_ENDING}")).await?;
    Ok(Some(Kept { given: Given { component, signature }, grants: grants(store, digest).await? }))
}

/// Where a kept component comes from, for people.
pub fn swapped_in() -> Origin {
    Origin::Path("the component that was swapped in".into())
}

async fn get(store: &dyn Store, kept: &str) -> Result<Option<Arc<[u8]>>> {
    let name = name(kept);
    Ok(patiently(|| store.get(&name)).await?.map(|bytes| Arc::from(&bytes[..])))
}

/// What was approved for a component.
async fn grants(store: &dyn Store, digest: &str) -> Result<Grants> {
    let Some(bytes) = get(store, &format!("{digest}{GRANTS_ENDING}")).await? else { return Ok(Grants::default()) };
    let names = String::from_utf8_lossy(&bytes).into_owned();
    let grants = names.lines().map(str::parse::<Grant>).collect::<Result<Grants, _>>();
    grants.map_err(|reason| Error::new(ErrorKind::Corrupt, format!("{}: {digest}: {reason}", store.place())))
}

/// How often something is tried again that time may cure, and the first pause before it, which doubles.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(50);

/// Does something with a store that may not answer for a moment.
pub async fn patiently<T, F: Future<Output = Result<T>>>(mut act: impl FnMut() -> F) -> Result<T> {
    for tried in 0..TRIES {
        match act().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!("{}", error.report());
                tokio::time::sleep(PAUSE * 2u32.pow(tried)).await;
            }
            done => return done,
        }
    }
    act().await
}

/// Keeps components, as far as they are not kept yet, and what belongs to them as it is now.
pub async fn keep(store: &dyn Store, components: &BTreeMap<String, Arc<[u8]>>) -> Result<()> {
    for (kept, bytes) in components {
        let name = name(kept);
        // Bytes of a digest do not change. A signature may be another one, by another key.
        if belongs_to(kept).is_some() || !patiently(|| store.list(&name)).await?.contains(&name) {
            patiently(|| store.put(&name, bytes.to_vec().into())).await?;
        }
    }
    Ok(())
}

/// The component that a kept object belongs to, if it is none itself.
fn belongs_to(kept: &str) -> Option<&str> {
    kept.split_once('.').map(|(digest, _)| digest)
}

/// Removes components that no checkpoint names, and none of the last entries of the history.
pub async fn sweep(store: &Arc<dyn Store>, components: &BTreeMap<String, Arc<[u8]>>) -> Result<()> {
    let mut named: BTreeSet<String> = components.keys().cloned().collect();
    let events = history::read(&**store).await?;
    let recent = events.iter().rev().take(KEPT).flat_map(|event| event.version.iter().chain(&event.before));
    named.extend(recent.map(|version| version.digest.clone()));
    let journal = Journal::new(store.clone());
    let mut manifests = Vec::new();
    for number in journal.numbers().await? {
        manifests.extend(journal.manifest(number).await?);
    }
    for savepoint in journal.savepoints().await? {
        manifests.extend(journal.savepoint(&savepoint).await?);
    }
    let marks = manifests.iter().flat_map(|manifest| manifest.plugins.values());
    named.extend(marks.flat_map(|mark| {
        let successor = mark.successor.as_ref().map(|successor| &successor.digest);
        [Some(&mark.sha256), successor].into_iter().flatten().cloned()
    }));
    let stored = store.list(COMPONENTS).await?;
    for kept in unnamed(&stored, &named) {
        store.delete(&name(kept)).await?;
    }
    Ok(())
}

/// What is stored and neither named nor belongs to a component that is. Components go last: whatever is left when this stops
/// half-way is found by them.
fn unnamed<'s>(stored: &'s [String], named: &BTreeSet<String>) -> Vec<&'s str> {
    let kept = stored.iter().filter_map(|stored| stored.strip_prefix(COMPONENTS));
    let mut unnamed: Vec<&str> = kept.filter(|kept| !named.contains(belongs_to(kept).unwrap_or(kept))).collect();
    unnamed.sort_by_key(|kept| belongs_to(kept).is_none());
    unnamed
}

fn name(digest: &str) -> String {
    format!("{COMPONENTS}{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_connect::checkpoint_store::StorePlace;

    /// Of a component only what belongs to it is there, as a sweep may leave it → the component is kept all the same. It comes
    /// again with another signature → that is kept.
    #[tokio::test]
    async fn a_name_that_begins_like_it_is_not_the_component() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = StorePlace::folder(folder.path()).open().await.expect("a store");
        let digest = "ab".repeat(32);
        store.put(&name(&format!("{digest}{GRANTS_ENDING}")), "wasi".into()).await.expect("put");
        for signature in ["one", "another"] {
            let given = Given { component: b"wasm"[..].into(), signature: Some(signature.as_bytes().into()) };
            let objects = Kept { given, grants: Grants::default() }.objects(&digest);
            keep(&*store, &objects).await.expect("kept");
            let Kept { given, .. } = find(&*store, &digest).await.expect("it can be read").expect("it is there");
            assert_eq!(&*given.component, b"wasm");
            assert_eq!(given.signature.as_deref(), Some(signature.as_bytes()));
        }
    }

    /// Components that are named and others, with what belongs to them → the others go, each behind what belongs to it.
    #[test]
    fn components_go_last() {
        let stored = ["a", "a.grants", "a.minisig", "b", "b.minisig", "c"].map(name).to_vec();
        let named = BTreeSet::from(["b".to_owned()]);
        assert_eq!(unnamed(&stored, &named), ["a.grants", "a.minisig", "a", "c"]);
    }
}
