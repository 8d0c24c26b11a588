//! The state of two versions of a plugin in one: what is stored of a key or window while a candidate runs beside the
//! incumbent.
//!
//! * empty: fresh, for both
//! * `0`, the incumbent's state: the candidate has not met it yet
//! * `1`, length of the incumbent's state (4 bytes, little-endian), that state, the timers of each (a number in 4 bytes, then
//!   8 bytes each), and the candidate's state
//!
//! Timers are stored because the host knows those of both together.

use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::process::Rewritten;
use wasmill_stream::{Binary, Error, ErrorKind, Result};

/// Marks the version of states that are pairs. What remains is the version of the incumbent's halves.
pub const PAIRED: u32 = 1 << 31;

const ONE: u8 = 0;
const TWO: u8 = 1;

/// Which of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    #[allow(missing_docs)]
    Incumbent,
    #[allow(missing_docs)]
    Candidate,
}

/// Both states of a key or window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Halves<'a> {
    /// The incumbent's state.
    pub incumbent: &'a [u8],
    /// The candidate's, if it has met this key or window.
    pub candidate: Option<&'a [u8]>,
    /// The timers of each; only if there is a candidate's.
    pub timers: [Vec<i64>; 2],
}

impl<'a> Halves<'a> {
    /// Only the incumbent's.
    pub fn one(incumbent: &'a [u8]) -> Self {
        Self { incumbent, ..Self::default() }
    }

    /// Whether there is nothing of either.
    pub fn is_fresh(&self) -> bool {
        self.incumbent.is_empty() && self.candidate.is_none()
    }

    /// Takes a stored state apart.
    pub fn read(stored: &'a [u8]) -> Result<Self> {
        Self::parse(stored).ok_or_else(|| Error::new(ErrorKind::Corrupt, "a state is not that of two versions"))
    }

    fn parse(stored: &'a [u8]) -> Option<Self> {
        let Some((tag, rest)) = stored.split_first() else { return Some(Self::default()) };
        match *tag {
            ONE => Some(Self::one(rest)),
            TWO => {
                let (length, rest) = rest.split_first_chunk()?;
                let (incumbent, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                let (first, rest) = timers(rest)?;
                let (second, candidate) = timers(rest)?;
                Some(Self { incumbent, candidate: Some(candidate), timers: [first, second] })
            }
            _ => None,
        }
    }

    /// Adds what is to be stored.
    pub fn write(&self, into: &mut BinaryBuilder) {
        let nothing = self.incumbent.is_empty() && self.timers.iter().all(Vec::is_empty);
        match self.candidate {
            Some(candidate) if nothing && candidate.is_empty() => into.push(b""),
            None if self.incumbent.is_empty() => into.push(b""),
            None => into.push(&[&[ONE], self.incumbent].concat()),
            Some(candidate) => {
                let mut stored = vec![TWO];
                stored.extend_from_slice(&(self.incumbent.len() as u32).to_le_bytes());
                stored.extend_from_slice(self.incumbent);
                for timers in &self.timers {
                    stored.extend_from_slice(&(timers.len() as u32).to_le_bytes());
                    timers.iter().for_each(|time| stored.extend_from_slice(&time.to_le_bytes()));
                }
                stored.extend_from_slice(candidate);
                into.push(&stored);
            }
        }
    }
}

fn timers(bytes: &[u8]) -> Option<(Vec<i64>, &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    let (timers, rest) = rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(8)?)?;
    Some((timers.as_chunks().0.iter().map(|time| i64::from_le_bytes(*time)).collect(), rest))
}

/// One half of a stored state; nothing of one that cannot be read. What the candidate has not met is the incumbent's.
pub fn half_of(half: Half, stored: &[u8]) -> Vec<u8> {
    let own = |halves: Halves<'_>| match (half, halves.candidate) {
        (Half::Candidate, Some(candidate)) => candidate.to_vec(),
        _ => halves.incumbent.to_vec(),
    };
    Halves::read(stored).map(own).unwrap_or_default()
}

/// Whether only the incumbent has seen all that has led to a stored state.
pub fn is_old(stored: &[u8]) -> bool {
    stored.first() == Some(&ONE)
}

/// States of an incumbent as pairs, which its candidate has not met yet.
pub fn wrap(states: &Binary) -> Binary {
    let mut wrapped = BinaryBuilder::default();
    states.iter().for_each(|state| Halves::one(state).write(&mut wrapped));
    wrapped.finish()
}

/// One half of pairs. What the candidate has not met is the incumbent's, as `met` makes it.
pub fn only(half: Half, pairs: &Binary, met: &mut dyn FnMut(&Binary) -> Result<Binary>) -> Result<Rewritten> {
    let halves: Vec<Halves<'_>> = pairs.iter().map(Halves::read).collect::<Result<_>>()?;
    let is_foreign = |halves: &Halves<'_>| half == Half::Incumbent || halves.candidate.is_none();
    let foreign: Binary = halves
        .iter()
        .filter(|halves| is_foreign(halves) && !halves.incumbent.is_empty())
        .map(|halves| halves.incumbent)
        .collect();
    let met = met(&foreign)?;
    if met.len() != foreign.len() {
        let words = format!("migrate returned {} states for {}", met.len(), foreign.len());
        return Err(Error::guest(wasmill_stream::GuestFault::Contract, words));
    }
    let mut met = met.iter();
    let (mut states, mut timers) = (BinaryBuilder::default(), Vec::with_capacity(halves.len()));
    let mut all_keep = true;
    for halves in &halves {
        let state = match is_foreign(halves) {
            true if halves.incumbent.is_empty() => &[][..],
            true => met.next().unwrap_or_default(),
            false => halves.candidate.unwrap_or_default(),
        };
        states.push(state);
        let own = &halves.timers[usize::from(half == Half::Candidate)];
        let keeps = halves.candidate.is_none();
        all_keep &= keeps;
        timers.push((!keeps).then(|| own.clone()));
    }
    Ok(Rewritten { states: states.finish(), timers: if all_keep { Vec::new() } else { timers } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(halves: &Halves<'_>) -> Vec<u8> {
        let mut column = BinaryBuilder::default();
        halves.write(&mut column);
        column.finish().get(0).to_vec()
    }

    /// What is written is read again; nothing at all stays nothing; what is cut or of another kind is refused.
    #[test]
    fn round_trip() {
        let both = Halves { incumbent: b"abc", candidate: Some(b""), timers: [vec![-5, 7], vec![i64::MAX]] };
        for halves in [Halves::one(b"x"), both.clone(), Halves { candidate: Some(b"yz"), ..Halves::default() }] {
            assert_eq!(Halves::read(&written(&halves)).expect("it was written"), halves);
        }
        assert_eq!(written(&Halves::one(b"")), b"");
        assert_eq!(written(&Halves { candidate: Some(b""), ..Halves::default() }), b"");
        let stored = written(&both);
        for at in 1..stored.len() {
            assert!(Halves::read(&stored[..at]).is_err(), "cut at {at}");
        }
        assert!(Halves::read(&[9]).is_err());
    }

    /// One half of pairs → the candidate's is what it made, or what it makes of the incumbent's where it has none; the
    /// incumbent's is as it was. Timers are those of the half.
    #[test]
    fn one_half() {
        let met = Halves { incumbent: b"i", candidate: Some(b"c"), timers: [vec![1], vec![2]] };
        let pairs: Binary = [Halves::one(b"old"), met, Halves::default()].iter().map(written).collect();
        let taken = |half| {
            let mut migrate = |states: &Binary| Ok(states.iter().map(|state| [b"new ", state].concat()).collect());
            only(half, &pairs, &mut migrate).expect("they are pairs")
        };
        let candidate = taken(Half::Candidate);
        assert_eq!(candidate.states, [&b"new old"[..], b"c", b""].into_iter().collect());
        assert_eq!(candidate.timers, [None, Some(vec![2]), None]);
        let incumbent = taken(Half::Incumbent);
        assert_eq!(incumbent.states, [&b"new old"[..], b"new i", b""].into_iter().collect());
        assert_eq!(incumbent.timers, [None, Some(vec![1]), None]);
    }

    /// Whatever is stored, reading it does not panic.
    #[test]
    fn hostile_bytes() {
        let mut bytes = vec![TWO];
        for tail in [[255u8; 9], [0; 9], [1; 9]] {
            bytes.truncate(1);
            bytes.extend_from_slice(&tail);
            let _ = Halves::read(&bytes);
        }
    }
}
