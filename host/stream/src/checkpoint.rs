//! Checkpoints: what a job remembers so that it can go on after a crash as if nothing had happened. A checkpoint is a
//! consistent cut at the end of an epoch: where every split is, what every step knows, and what every sink has prepared.
//! One document, the [`Manifest`], names all of it; it is published last and at once.

mod changes;
mod digest;
mod fold;
mod join;
mod manifest;
mod store;

pub use changes::{ANY_GROUP, Change, ChangeLog, Changes};
pub use digest::Digest;
pub use fold::fold;
pub use join::Join;
pub use manifest::{
    FORMAT, Kind, Manifest, PluginMark, RewindPoint, Run, Segment, SinkMark, SourceMark, SplitMark, StepMark,
    Undecodable, Withdrawn,
};
pub use store::{Created, Store};
