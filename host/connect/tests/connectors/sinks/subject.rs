//! What the suite has to know about a sink and the other side of it: one `impl` for each kind of other side.

use super::network::{Network, Parcel};
use async_trait::async_trait;
use wasmill_stream::sink::Sink;

/// Something that a case needs; or why this sink or its other side has no such thing.
pub type Applies<T> = Result<T, &'static str>;

/// A bound, and the settings with which it holds.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// In the words of a job file.
    pub settings: &'static str,
    /// No more than this.
    pub most: usize,
}

/// How the order of rows of one key shows, and the settings for it.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// All of them are there, one behind the other.
    Kept(&'static str),
    /// Each takes the place of the one before, so the last one is there.
    Last(&'static str),
}

/// A sink under test, and the other side of it, which is new and has nothing yet.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The `type` of the sink in job files.
    const KIND: &'static str;

    /// A sink to the other side, with these settings besides those that say where it is.
    fn sink(&self, more: &str) -> Box<dyn Sink>;

    /// The numbers of all rows that a user can see there; in the order of the other side, if it has one.
    async fn visible(&self) -> Vec<usize>;

    /// The way to it.
    fn network(&self) -> Applies<&Network>;

    /// In what pieces rows have come to it so far.
    async fn parcels(&self) -> Vec<Parcel> {
        self.network().map(Network::parcels).unwrap_or_default()
    }

    /// Lets it answer nobody, or go on.
    fn freeze(&self, frozen: bool) -> Applies<()> {
        self.network().map(|network| network.freeze(frozen))
    }

    /// Whether requests are signed with credentials that can be exchanged.
    fn signs(&self) -> Applies<()> {
        self.network().map(drop)
    }

    /// Most rows of a piece.
    fn bound_of_rows(&self) -> Applies<Bound>;

    /// Most bytes of a piece.
    fn bound_of_bytes(&self) -> Applies<Bound>;

    /// The setting for how long a row may wait.
    fn bound_of_time(&self) -> Applies<&'static str>;

    /// Most bytes of rows that are taken and not written.
    fn bound_of_memory(&self) -> Applies<Bound>;

    /// Settings with which what a checkpoint has is visible as soon as it is committed.
    fn complete_pieces(&self) -> &'static str {
        ""
    }

    /// How order shows.
    fn order(&self) -> Applies<Order>;

    /// A row that is refused for good, and the settings for that.
    fn poison(&self) -> Applies<(&'static str, &'static str)>;

    /// The event time of a row.
    fn time_of(&self, _row: usize) -> i64 {
        0
    }
}
