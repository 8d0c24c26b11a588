//! Documents are visible as soon as they are written. So while the job may be rewound, the sink notes before each request what
//! the index has under the ids that it is going to write, and when the job has gone back, it puts that back.
//!
//! Only results of windows, which correct an earlier one, and rows that bring their id along can meet a document with it; the
//! documents of records, and everything in a data stream, are new and are removed. Documents come back with the same members: their order, and digits
//! of numbers beyond 64 bits, may differ.

use super::answer::{Answer, Fate};
use super::bulk::Documents;
use super::server::Server;
use super::version::Versions;
use crate::outage::Outage;
use crate::retry::{Backoff, Patience, patiently};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmill_stream::sink::{Undo, Withdrawal};
use wasmill_stream::{Error, ErrorKind, Result};

/// How many documents are put back at a time.
const AT_A_TIME: usize = 500;

/// What an index had under an id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    index: String,
    id: String,
    /// Whether what is written there has a version.
    versioned: bool,
    /// `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
}

/// The line about a document in a `_bulk` request.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Index(About),
    Create(About),
    Update(About),
}

#[derive(Deserialize)]
struct About {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id")]
    id: Option<String>,
    version: Option<i64>,
}

/// Notes what is there before documents are written. `index`: that of all documents which do not name their own. The inner error
/// is why the documents are given up instead.
pub async fn note(
    server: &Server,
    undo: &dyn Undo,
    index: Option<&str>,
    documents: &Documents,
    outage: &Arc<Outage>,
) -> Result<Result<(), String>> {
    let mut notes = Vec::with_capacity(documents.len());
    let mut looked_up = Vec::new();
    for (line, may_exist) in documents.lines() {
        let broken = |error| Error::internal(format!("read a line of a request: {error}"));
        let (Line::Index(about) | Line::Create(about) | Line::Update(about)) =
            serde_json::from_slice(line).map_err(broken)?;
        if let (Some(index), Some(id)) = (about.index.or_else(|| index.map(str::to_owned)), about.id) {
            looked_up.push(may_exist || about.version.is_some());
            notes.push(Before { index, id, versioned: about.version.is_some(), document: None });
        }
    }
    let (existing, places): (Vec<usize>, Vec<_>) = (notes.iter().enumerate())
        .filter(|(at, _)| looked_up[*at])
        .map(|(at, note)| (at, (note.index.clone(), note.id.clone())))
        .unzip();
    let mut backoff = Backoff::new(Patience::ENDLESS);
    let found = loop {
        if let Some(reason) = outage.turns_away() {
            return Ok(Err(reason));
        }
        match server.documents(&places).await {
            Ok(found) => break found,
            Err(error) => match outage.failed(&error) {
                Some(reason) => return Ok(Err(reason)),
                None => backoff.wait(error).await?,
            },
        }
    };
    for (at, document) in existing.into_iter().zip(found) {
        notes[at].document = document;
    }
    let bytes = serde_json::to_vec(&notes).map_err(|error| Error::internal(format!("write notes: {error}")))?;
    undo.keep(bytes.into()).await.map(Ok)
}

/// How documents are put back.
pub enum Way<'v> {
    /// Each by its id.
    ById(Option<&'v mut Versions>),
    /// A data stream: documents are found and removed.
    DataStream,
}

/// Puts back what was noted, the latest first, so that in the end there is what was there before the first of them.
pub async fn put_back(server: &Server, undo: &dyn Undo, withdrawal: &Withdrawal, mut way: Way<'_>) -> Result<()> {
    for name in withdrawal.entries.iter().rev() {
        let damaged = |error| Error::new(ErrorKind::Corrupt, format!("{name} is damaged: {error}"));
        let notes: Vec<Before> = serde_json::from_slice(&undo.read(name).await?).map_err(damaged)?;
        for some in notes.chunks(AT_A_TIME) {
            match &mut way {
                Way::ById(versions) => {
                    let version = versions.as_mut().map(|versions| versions.next());
                    write(server, some, version).await?;
                }
                Way::DataStream => remove(server, some).await?,
            }
        }
    }
    Ok(())
}

async fn write(server: &Server, notes: &[Before], version: Option<i64>) -> Result<()> {
    let mut left: Vec<&Before> = notes.iter().collect();
    let mut backoff = Backoff::new(Patience::ENDLESS);
    while !left.is_empty() {
        let body: String = left.iter().map(|note| request(note, version)).collect();
        let fates = match server.bulk("/_bulk", body.into(), left.len()).await {
            Ok(Answer::Items(fates)) => fates,
            Ok(Answer::TooLarge(reason)) if left.len() > 1 => {
                let (first, second) = notes.split_at(notes.len() / 2);
                tracing::debug!("{server}: {reason}");
                Box::pin(write(server, first, version)).await?;
                return Box::pin(write(server, second, version)).await;
            }
            Ok(Answer::TooLarge(reason) | Answer::Malformed(reason)) => return Err(refused(server, &reason)),
            Err(error) => {
                backoff.wait(error).await?;
                continue;
            }
        };
        let mut again = (Vec::new(), None);
        for (note, fate) in left.iter().zip(fates) {
            match fate {
                Fate::Written | Fate::There(_) => {}
                Fate::Again(reason) | Fate::Failed(reason) => {
                    again.0.push(*note);
                    again.1 = Some(reason);
                }
                Fate::Refused(reason) | Fate::Barred(reason) => return Err(refused(server, &reason)),
            }
        }
        left = again.0;
        if let Some(reason) = again.1 {
            backoff.wait(Error::unavailable(format!("{server} refused for now: {reason}"))).await?;
        }
    }
    backoff.succeeded();
    Ok(())
}

fn request(note: &Before, version: Option<i64>) -> String {
    let mut about = json!({"_index": note.index, "_id": note.id});
    if let Some(version) = version.filter(|_| note.versioned) {
        about["version"] = version.into();
        about["version_type"] = "external_gte".into();
    }
    match &note.document {
        Some(document) => format!("{}\n{document}\n", json!({"index": about})),
        None => format!("{}\n", json!({"delete": about})),
    }
}

async fn remove(server: &Server, notes: &[Before]) -> Result<()> {
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    notes.iter().for_each(|note| ids.entry(&note.index).or_default().push(&note.id));
    for (stream, ids) in ids {
        patiently(|| server.remove(stream, &ids)).await?;
    }
    Ok(())
}

fn refused(server: &Server, reason: &str) -> Error {
    Error::invalid(format!("{server}: put documents back as they were: {reason}"))
}
