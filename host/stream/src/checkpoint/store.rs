//! Where checkpoints are kept. Implemented in `connect`.

use crate::Result;
use async_trait::async_trait;
use bytes::Bytes;

/// What became of [`Store::create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The object is there, with these bytes, and was not there before.
    New,
    /// The name was taken. Nothing has changed.
    Taken,
}

/// A flat space of named objects, such as a folder or a prefix of a bucket. Names are relative, made of `[a-z0-9._-]` and
/// `/`. A method that returns `Ok` has made its effect durable: it survives a crash of this process and of the machine.
///
/// Nothing is tried again inside except where only the implementation can know what an answer means: a lost or unclear
/// answer to `create` is resolved by reading back. Errors that time may cure have the kind
/// [`Unavailable`](crate::ErrorKind::Unavailable): a full disk, a server that does not answer.
#[async_trait]
pub trait Store: Send + Sync {
    /// The folder or address, for messages.
    fn place(&self) -> &str;

    /// Writes an object, whatever was there. Readers see the old bytes or all of the new ones.
    async fn put(&self, name: &str, bytes: Bytes) -> Result<()>;

    /// Writes an object if the name is free. Of several that try at once, on whatever machines, exactly one is told
    /// [`Created::New`]. An object with the very same bytes counts as ours: no two writers create the same bytes.
    async fn create(&self, name: &str, bytes: Bytes) -> Result<Created>;

    /// The bytes of an object, or `None`.
    async fn get(&self, name: &str) -> Result<Option<Bytes>>;

    /// The names of all objects that start with `prefix`, in the order of their bytes.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// Removes an object. One that is gone already is no error.
    async fn delete(&self, name: &str) -> Result<()>;
}
