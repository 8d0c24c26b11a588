//! Has sinks commit what a published manifest names.

use super::super::settled::Settled;
use super::{Connections, Coordinator};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use wasmill_stream::checkpoint::SinkMark;
use wasmill_stream::{Error, Result};

/// Tells a sink to commit. It answers when it has; after the last barrier with what it would prepare now, which names
/// nothing that is committed.
pub struct Commit(pub oneshot::Sender<Option<Value>>);

impl Coordinator {
    /// Has sinks commit, all at once, and notes which have. Returns what those answer that have ended. `marks`: what the
    /// newest manifest has of the sinks.
    pub(super) async fn commit(
        &self,
        nodes: Vec<usize>,
        marks: &BTreeMap<String, SinkMark>,
        connections: &Connections,
    ) -> Result<Vec<(usize, Value)>> {
        let (mut answers, mut pending) = (JoinSet::new(), BTreeSet::new());
        for node in nodes {
            let (done, answer) = oneshot::channel();
            // A writer that is gone has said why.
            let name = self.plan.nodes[node].name.to_string();
            pending.insert(name.clone());
            let gone = || Error::closed(format!("sink {name} has ended"));
            let sender = connections.sinks.get(&node).ok_or_else(gone)?;
            sender.send(Commit(done)).map_err(|_| gone())?;
            answers.spawn(async move { (node, name, answer.await) });
        }
        let (mut settled, mut last) = (Settled::new(&self.fence), Vec::new());
        // One that takes long must not keep the others from being noted.
        loop {
            let whom = Vec::from_iter(pending.iter().map(String::as_str)).join(", ");
            self.status.waits_now_for(format!("the commit of {whom}"));
            let Some(first) = answers.join_next().await else { return Ok(last) };
            let mut names = Vec::new();
            for answer in std::iter::once(first).chain(std::iter::from_fn(|| answers.try_join_next())) {
                let panicked = |error| Error::internal(format!("wait for a commit: {error}"));
                let (node, name, prepared) = answer.map_err(panicked)?;
                let prepared = prepared.map_err(|_| Error::closed(format!("sink {name} has ended")))?;
                last.extend(prepared.map(|prepared| (node, prepared)));
                pending.remove(&name);
                names.push(name);
            }
            names.retain(|name| marks.get(name).is_some_and(|mark| !mark.prepared.is_null()));
            settled.add(names, self.journal.store()).await;
        }
    }
}
