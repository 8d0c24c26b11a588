//! How many bytes of rows may wait for a sink. Each of those who send to it has a share of its own: rows behind a barrier wait until
//! the others have come to it, and must not take the room of rows before it.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmill_stream::units::ByteCount;

/// A share is not smaller than this, however many have one.
const LEAST: u64 = 64 << 10;

/// The share of one who sends. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Room {
    free: Arc<Semaphore>,
    size: u32,
}

/// Room that is taken, until this is dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "it is what it holds")] OwnedSemaphorePermit);

impl Room {
    /// One of so many shares.
    pub fn share(queue: ByteCount, senders: usize) -> Self {
        let most = Semaphore::MAX_PERMITS as u64;
        let size = (queue.bytes() / senders.max(1) as u64).max(LEAST).min(most).min(u64::from(u32::MAX)) as u32;
        Self { free: Arc::new(Semaphore::new(size as usize)), size }
    }

    /// Takes room for so many bytes if there is some. What is larger than the share takes all of it.
    pub fn try_take(&self, bytes: usize) -> Option<Place> {
        self.free.clone().try_acquire_many_owned(self.clamp(bytes)).ok().map(Place)
    }

    /// Waits for it.
    pub async fn take(&self, bytes: usize) -> Option<Place> {
        self.free.clone().acquire_many_owned(self.clamp(bytes)).await.ok().map(Place)
    }

    fn clamp(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is there is there once; who takes more than all that gets all; who lets go makes room.
    #[test]
    fn bytes_are_bounded() {
        let room = Room::share(ByteCount::new(400 << 10), 4);
        let first = room.try_take(60 << 10).expect("room");
        assert!(room.try_take(41 << 10).is_none());
        let second = room.try_take(40 << 10).expect("room");
        assert!(room.try_take(0).is_none(), "nothing is no less than a byte");
        drop((first, second));
        let all = room.try_take(usize::MAX).expect("nothing else is there");
        assert!(room.try_take(1).is_none());
        drop(all);
        assert!(room.try_take(1).is_some());
    }

    /// However many there are, each has room for something.
    #[test]
    fn shares_have_a_size() {
        assert_eq!(Room::share(ByteCount::new(1), 1_000).size, LEAST as u32);
        assert_eq!(Room::share(ByteCount::new(u64::MAX), 1).size, u32::MAX);
    }
}
