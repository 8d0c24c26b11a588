//! How states become those of another version.

use crate::candidate::{Half, PAIRED, only};
use wasmill_stream::process::Rewritten;
use wasmill_stream::{Binary, Result};

/// What has to be done to states before a version understands them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// The version rewrites them; they have this version.
    Migrate(u32),
    /// They are those of two versions, and one half is taken. What is the incumbent's is rewritten from this version.
    Unpair(Half, Option<u32>),
}

impl Rewrite {
    /// Between two versions of states. `half`: which is taken if they are those of two versions of the plugin.
    pub fn between(was: u32, half: Half, is: u32) -> Option<Self> {
        match was & PAIRED {
            _ if was == is => None,
            0 => Some(Self::Migrate(was)),
            _ => {
                let incumbent = was & !PAIRED;
                Some(Self::Unpair(half, (incumbent != is).then_some(incumbent)))
            }
        }
    }

    /// The version that a plugin has to rewrite, if it has to.
    pub fn from(self) -> Option<u32> {
        match self {
            Self::Migrate(from) => Some(from),
            Self::Unpair(_, from) => from,
        }
    }

    /// Does it. `migrate`: the version's own, given the version that the states have.
    pub fn apply(self, states: &Binary, migrate: &mut dyn FnMut(u32, &Binary) -> Result<Binary>) -> Result<Rewritten> {
        match self {
            Self::Migrate(from) => migrate(from, states).map(Rewritten::from),
            Self::Unpair(half, from) => only(half, states, &mut |own| match from {
                Some(from) if !own.is_empty() => migrate(from, own),
                _ => Ok(own.clone()),
            }),
        }
    }
}
