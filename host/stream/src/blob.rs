//! A byte string that lies inside its owner while it is short. Most keys and accumulators are, and then a new key costs
//! no allocation and a look at it no second cache line.

const INLINE: usize = 23;

/// Bytes that can be replaced. Empty by default.
#[derive(Debug)]
pub(crate) enum Blob {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Vec<u8>),
}

impl Default for Blob {
    fn default() -> Self {
        Self::Inline { len: 0, bytes: [0; INLINE] }
    }
}

impl Blob {
    /// A copy of `bytes`.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut blob = Self::default();
        blob.set(bytes);
        blob
    }

    /// The bytes.
    #[inline]
    pub(crate) fn get(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }

    /// Replaces the bytes, in the memory that is already there if they fit.
    #[inline]
    pub(crate) fn set(&mut self, new: &[u8]) {
        match self {
            Self::Heap(bytes) => {
                bytes.clear();
                bytes.extend_from_slice(new);
            }
            Self::Inline { len, bytes } if new.len() <= INLINE => {
                bytes[..new.len()].copy_from_slice(new);
                *len = new.len() as u8;
            }
            Self::Inline { .. } => *self = Self::Heap(new.to_vec()),
        }
    }

    /// Whether these are the bytes.
    #[inline]
    pub(crate) fn is(&self, other: &[u8]) -> bool {
        let own = self.get();
        if own.len() != other.len() {
            return false;
        }
        // Two overlapping words are compared in line. For keys of these lengths the call of `memcmp` costs more than they do.
        match (own.first_chunk::<8>(), own.last_chunk::<8>()) {
            (Some(first), Some(last)) if own.len() <= 16 => {
                other.first_chunk() == Some(first) && other.last_chunk() == Some(last)
            }
            _ => own == other,
        }
    }

    /// How many bytes lie outside of it.
    #[inline]
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(bytes) => bytes.len(),
        }
    }

    /// Whether there are no bytes.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.get().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever lengths follow each other, a blob holds what was set last, and it stays within half a cache line.
    #[test]
    fn holds_what_was_set() {
        assert_eq!(size_of::<Blob>(), 32);
        let bytes: Vec<u8> = (0..100).collect();
        let mut blob = Blob::default();
        assert!(blob.is_empty());
        for len in [0, 1, 22, 23, 24, 100, 23, 0, 50] {
            blob.set(&bytes[..len]);
            assert_eq!(blob.get(), &bytes[..len]);
            assert_eq!(Blob::new(&bytes[..len]).get(), &bytes[..len]);
        }
    }

    /// A blob is its own bytes, and none that differ in length or in any single byte.
    #[test]
    fn is_only_itself() {
        for len in 0..40 {
            let bytes: Vec<u8> = (0..len).collect();
            let blob = Blob::new(&bytes);
            assert!(blob.is(&bytes));
            let same = vec![7; bytes.len()];
            assert!(!Blob::new(&same).is(&[&same[..], &[7]].concat()), "{len}");
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 1;
                assert!(!blob.is(&other), "{len} {at}");
            }
        }
    }
}
