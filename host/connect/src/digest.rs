//! The digest of bytes that come one after the other.

use wasmill_stream::checkpoint::Digest;
use xxhash_rust::xxh3::Xxh3;

/// Adds up to the same as [`Digest::of`] of all the bytes.
#[derive(Clone)]
pub struct Hasher(Xxh3);

impl Hasher {
    /// Of no bytes.
    pub fn new() -> Self {
        Self(Xxh3::new())
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all bytes so far. More may follow.
    pub fn digest(&self) -> Digest {
        Digest::try_from(format!("{:032x}", self.0.digest128())).expect("it has 32 hexadecimal digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes in pieces of any size → after each piece the digest of what has come so far.
    #[test]
    fn pieces_add_up() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for size in [1, 239, 256, 4_096, 65_537] {
            let (mut hasher, mut end) = (Hasher::new(), 0);
            assert_eq!(hasher.digest(), Digest::of(b""));
            for piece in bytes.chunks(size).take(1_000) {
                hasher.update(piece);
                end += piece.len();
                assert!(end % 7 != 0 || hasher.digest() == Digest::of(&bytes[..end]), "{size} {end}");
            }
            assert_eq!(hasher.digest(), Digest::of(&bytes[..end]), "{size}");
        }
    }
}
