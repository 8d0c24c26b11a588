//! What a test lets happen to requests.

/// What happens to a read instead of, or before, its answer.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The shard is read too often.
    Throttled,
    /// The server is broken.
    Broken,
    /// The iterator is too old.
    Expired,
    /// Nothing on this page, although there is more behind it.
    Empty,
    /// The answer breaks off in the middle.
    Cut,
    /// The answer breaks off behind so many bytes of its body.
    CutAt(usize),
    /// A proxy answers.
    Html,
    /// An answer without a body.
    NoBody,
    /// An object without anything in it.
    Braces,
    /// The connection closes without an answer.
    HungUp,
}

/// What happens to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutFault {
    /// Nothing is stored, and the server says that it is broken.
    Broken,
    /// All is stored, and the server says that it is broken: a producer that tries again writes it twice.
    StoredButBroken,
    /// All is stored, and the connection closes without an answer.
    StoredButHungUp,
    /// Of so many records one is refused, by its place in the request, as if its shard were written too fast.
    Every(usize),
    /// Records are refused by chance, as if their shards were written too fast.
    Some {
        /// How many of a hundred.
        percent: u64,
        /// Which.
        seed: u64,
    },
    /// Every second record is refused with an internal failure.
    Half,
}

/// What happens to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushFault {
    /// It is refused: there is another one.
    InUse,
    /// It is refused: too many of them.
    LimitExceeded,
    /// It is taken, and nothing ever comes, not even the first frame.
    Silent,
    /// Nothing comes behind the first event, and the connection stays.
    SilentAfterOne,
    /// It ends behind the first event, as it does after five minutes.
    Ends,
    /// The second event breaks off.
    Cut,
    /// Behind the first event comes an error.
    Fails,
}
