//! Buffers that come back. A block is shared by all batches cut from it and returns to its reader when the last of them is
//! dropped: fresh memory of this size would cost page faults, about as much time as reading the file.

use bytes::Bytes;
use std::sync::mpsc::{Receiver, Sender, channel};

/// The buffers of one reader.
pub(super) struct Blocks {
    size: usize,
    returned: Receiver<Vec<u8>>,
    give_back: Sender<Vec<u8>>,
}

impl Blocks {
    /// Buffers of at least `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        let (give_back, returned) = channel();
        Self { size, returned, give_back }
    }

    /// A buffer, initialised, of at least `least` bytes.
    pub(super) fn take(&self, least: usize) -> Vec<u8> {
        let mut block = self.returned.try_recv().unwrap_or_default();
        let size = self.size.max(least);
        if block.len() < size {
            block.resize(size, 0);
        }
        block
    }

    /// The first `filled` bytes of a buffer, to be shared.
    pub(super) fn share(&self, block: Vec<u8>, filled: usize) -> Bytes {
        let give_back = self.give_back.clone();
        let filled = filled.min(block.len());
        // A few bytes must not hold a whole block: what is in flight is bounded by the bytes of the records.
        if filled < block.len() / 2 {
            let bytes = Bytes::copy_from_slice(&block[..filled]);
            let _ = give_back.send(block);
            return bytes;
        }
        Bytes::from_owner(Loan { block, filled, give_back })
    }
}

struct Loan {
    block: Vec<u8>,
    filled: usize,
    give_back: Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        &self.block[..self.filled]
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // A reader that is gone needs no buffers.
        let _ = self.give_back.send(std::mem::take(&mut self.block));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer is used again when the last of those who share it has let go of it, and not before.
    #[test]
    fn buffers_come_back() {
        let blocks = Blocks::new(8);
        let mut block = blocks.take(0);
        block.fill(7);
        let shared = blocks.share(block, 6);
        let also = shared.slice(2..);
        drop(shared);
        assert_eq!(blocks.take(0), [0; 8]);
        assert_eq!(also, [7; 4][..]);
        drop(also);
        assert_eq!(blocks.take(10), [7, 7, 7, 7, 7, 7, 7, 7, 0, 0]);
    }

    /// A few bytes are copied, so that they do not hold a whole buffer.
    #[test]
    fn few_bytes_are_copied() {
        let blocks = Blocks::new(8);
        let mut block = blocks.take(0);
        block.fill(7);
        let few = blocks.share(block, 3);
        assert_eq!(blocks.take(0), [7; 8]);
        assert_eq!(few, [7; 3][..]);
    }
}
