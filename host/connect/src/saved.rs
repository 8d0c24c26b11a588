//! What sources and sinks save in a manifest, to and from its JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasmill_stream::source::Resume;
use wasmill_stream::{Error, ErrorKind, Result};

/// The note of a source, if the run before came so far. `what` says what the source reads.
pub fn note<T: DeserializeOwned>(resume: Option<&Resume>, what: &str) -> Result<Option<T>> {
    let Some(resume) = resume else { return Ok(None) };
    // Sources of earlier versions may have opened their splits before they had a note.
    let has_begun = resume.splits.values().any(|mark| mark.done || mark.position.is_some());
    if resume.note.is_null() && !has_begun {
        return Ok(None);
    }
    T::deserialize(&resume.note).map(Some).map_err(|error| {
        Error::invalid(format!("the checkpoint is not that of {what}: give this source another name"))
            .with_source(error)
    })
}

/// What a sink of this kind has prepared, if it has.
pub fn prepared<T: DeserializeOwned>(value: &Value, kind: &str) -> Result<Option<T>> {
    let read = (!value.is_null()).then(|| T::deserialize(value)).transpose();
    read.map_err(|error| {
        let message = format!("read what the {kind} sink has left in the checkpoint");
        Error::new(ErrorKind::Corrupt, message).with_source(error)
    })
}

/// What a sink has prepared, as it goes into the manifest.
pub fn write<T: Serialize>(prepared: &T) -> Result<Value> {
    serde_json::to_value(prepared).map_err(|error| Error::internal("describe what is prepared").with_source(error))
}
