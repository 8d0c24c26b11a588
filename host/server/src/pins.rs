//! Versions that were swapped in stay over restarts: the checkpoint says which component ran in place of the one that the
//! job file names, and the checkpoint store has its bytes. A job file that names another component than it did then wins:
//! somebody has deployed that since.

use crate::job::Job;
use crate::live::history;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wasmill_engine::{Journal, NodeKind};
use wasmill_stream::checkpoint::{Manifest, PluginMark, Store};
use wasmill_stream::plugin::Version;
use wasmill_stream::{Error, ErrorKind, Result};

/// The objects that hold components, by digest.
const COMPONENTS: &str = "plugin/";

/// How many entries of the history can be gone back to.
const KEPT: usize = 10;

/// Makes a version of a component for a step, with what the job file says of that.
pub type LoadVersion<'a> = dyn Fn(&str, Arc<[u8]>) -> Result<Version> + 'a;

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
        if mark.declared.as_ref() != Some(declared) {
            continue;
        }
        let bytes = component(store, mark).await?.ok_or_else(|| gone(step, mark, store))?;
        let version = load(step, bytes)?;
        let PluginMark { name, version: number, sha256, .. } = mark;
        let running = &version.plugin().identity().digest;
        if running != sha256 {
            let message = format!("step {step}: {} has {running} under the name of {sha256}", store.place());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        if let Some(node) = job.graph.nodes.iter_mut().find(|node| node.name == *step)
            && install(&mut node.kind, version)
        {
            said.push(format!(
                "step {step}: {name} {number} ({sha256:.8}), which was swapped in, not the plugin of the job file"
            ));
        }
    }
    Ok(said)
}

fn gone(step: &str, mark: &PluginMark, store: &dyn Store) -> Error {
    let PluginMark { name, version, sha256, .. } = mark;
    let message = format!(
        "step {step} ran {name} {version}, and {} has no component with sha256 {sha256} any more",
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

/// The component that a mark names.
pub async fn component(store: &dyn Store, mark: &PluginMark) -> Result<Option<Arc<[u8]>>> {
    Ok(store.get(&name(&mark.sha256)).await?.map(|bytes| Arc::from(&bytes[..])))
}

/// Keeps components, as far as they are not kept yet.
pub async fn keep(store: &dyn Store, components: &BTreeMap<String, Arc<[u8]>>) -> Result<()> {
    for (digest, bytes) in components {
        let name = name(digest);
        if store.list(&name).await?.is_empty() {
            store.put(&name, bytes.to_vec().into()).await?;
        }
    }
    Ok(())
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
    named.extend(manifests.iter().flat_map(|manifest| manifest.plugins.values()).map(|mark| mark.sha256.clone()));
    for stored in store.list(COMPONENTS).await? {
        if stored.strip_prefix(COMPONENTS).is_some_and(|digest| !named.contains(digest)) {
            store.delete(&stored).await?;
        }
    }
    Ok(())
}

fn name(digest: &str) -> String {
    format!("{COMPONENTS}{digest}")
}
