//! States become those of a newer version: some of them first, so that a version which cannot do it is refused before much has
//! been done, then all.

use super::{Rewrite, Takeover};
use std::time::{Duration, Instant};
use wasmill_stream::process::Rewritten;
use wasmill_stream::{Binary, Error, GuestFault, Result};

/// So many states are tried first, on each worker.
const SAMPLE: usize = 1_000;
/// What takes longer than this is told beforehand.
const LONG: Duration = Duration::from_secs(1);

/// How states are rewritten, on all workers together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Migration {
    /// The version that they have.
    pub from: u32,
    /// The version that they get.
    pub to: u32,
    /// How many there are.
    pub states: u64,
    /// How many of them were tried first.
    pub sample: u64,
    /// The longest that a worker should take for all of its states, by what its sample took.
    pub projected: Duration,
    /// The longest that a worker took. `None`: the version is on trial, and all follow when it takes over for good.
    pub took: Option<Duration>,
}

impl Migration {
    /// Both together, of different workers.
    pub fn and(self, other: Self) -> Self {
        Self {
            states: self.states + other.states,
            sample: self.sample + other.sample,
            projected: self.projected.max(other.projected),
            took: self.took.max(other.took),
            ..self
        }
    }
}

/// Rewrites the states of a worker as a takeover wants it. `states`: all of them. `migrate` is its version's own, `all`
/// has all rewritten.
pub fn rewritten<'s, M, S: Iterator<Item = &'s [u8]>>(
    takeover: &Takeover,
    states: impl Fn() -> S,
    migrate: &mut dyn FnMut(u32, &Binary) -> Result<Binary>,
    all: impl FnOnce(&mut dyn FnMut(&Binary) -> Result<Rewritten>) -> Result<M>,
) -> Result<Option<M>> {
    let Some(rewrite) = takeover.rewrite else { return Ok(None) };
    let Some((from, to)) = takeover.versions() else {
        return all(&mut |part| rewrite.apply(part, migrate)).map(Some);
    };
    let full = || states().filter(|state| !state.is_empty());
    let total = full().count();
    let sample: Binary = full().step_by((total / SAMPLE).max(1)).take(SAMPLE).collect();
    let of = format!("{total} states from version {from} to {to}");
    let begun = Instant::now();
    rehearse(rewrite, &sample, migrate)
        .map_err(|error| error.context(format!("rewrite a sample of {} of {of}", sample.len())))?;
    let projected = begun.elapsed().mul_f64(total as f64 / sample.len().max(1) as f64);
    if projected > LONG && !takeover.is_trial() {
        tracing::warn!("rewriting {of} will take about {projected:.1?}; the step stands still meanwhile");
    }
    let begun = Instant::now();
    let all = all(&mut |part| match takeover.course().refused {
        // Somebody else cannot do it: then nobody has to.
        Some(refusal) => Err(refusal.error()),
        None => rewrite.apply(part, migrate),
    });
    let all = all.map_err(|error| error.context(format!("rewrite {of}")))?;
    let took = (!takeover.is_trial()).then(|| begun.elapsed());
    let (states, sample) = (total as u64, sample.len() as u64);
    takeover.migrated(Migration { from, to, states, sample, projected, took });
    Ok(Some(all))
}

/// Rewrites some states for nothing. Where there are none, there is nothing to show.
fn rehearse(rewrite: Rewrite, sample: &Binary, migrate: &mut dyn FnMut(u32, &Binary) -> Result<Binary>) -> Result<()> {
    if sample.is_empty() {
        return Ok(());
    }
    let (returned, expected) = (rewrite.apply(sample, migrate)?.states.len(), sample.len());
    match returned == expected {
        true => Ok(()),
        false => {
            let words = format!("migrate returned {returned} states for {expected}");
            Err(Error::guest(GuestFault::Contract, words))
        }
    }
}
