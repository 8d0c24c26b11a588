//! The last events of one job, and those who follow them. Bounded in lines, bytes and followers; whoever does not keep up is
//! cut off.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many lines a job keeps at most,
const LINES: usize = 1_000;
/// and how many bytes.
const BYTES: usize = 256 << 10;
/// How many lines may wait for a follower.
const BACKLOG: usize = 256;
/// How many may follow one job.
const FOLLOWERS: usize = 16;

/// The last lines of a job.
#[derive(Debug, Default)]
pub struct Ring(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Arc<str>>,
    bytes: usize,
    followers: Vec<Sender<Arc<str>>>,
}

/// Whoever follows a job: what was there, then what comes. It ends when he was too slow.
pub struct Follower {
    /// The lines that were there, the oldest first.
    pub kept: Vec<Arc<str>>,
    /// What comes.
    pub coming: Receiver<Arc<str>>,
}

impl Ring {
    /// One more line. Never waits for anybody.
    pub fn push(&self, line: &str) {
        let line: Arc<str> = line.into();
        let mut kept = self.lock();
        kept.followers.retain(|follower| follower.try_send(line.clone()).is_ok());
        kept.bytes += line.len();
        kept.lines.push_back(line);
        while kept.lines.len() > LINES || kept.bytes > BYTES {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
    }

    /// The last lines, the oldest first.
    pub fn last(&self, lines: usize) -> Vec<Arc<str>> {
        let kept = self.lock();
        kept.lines.iter().skip(kept.lines.len().saturating_sub(lines)).cloned().collect()
    }

    /// The last lines and all that come; `None` if too many follow already.
    pub fn follow(&self, lines: usize) -> Option<Follower> {
        let mut kept = self.lock();
        kept.followers.retain(|follower| !follower.is_closed());
        if kept.followers.len() >= FOLLOWERS {
            return None;
        }
        let (sender, coming) = channel(BACKLOG);
        kept.followers.push(sender);
        let known = kept.lines.iter().skip(kept.lines.len().saturating_sub(lines)).cloned().collect();
        Some(Follower { kept: known, coming })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More lines than are kept, short ones and long ones → the last of them, within the limit.
    #[test]
    fn the_last_lines() {
        let ring = Ring::default();
        (0..LINES + 5).for_each(|number| ring.push(&number.to_string()));
        let last = ring.last(usize::MAX);
        assert_eq!((last.len(), &*last[0], &*ring.last(1)[0]), (LINES, "5", "1004"));
        let long = "x".repeat(BYTES / 2 + 1);
        (0..3).for_each(|_| ring.push(&long));
        assert_eq!(ring.last(usize::MAX).len(), 1, "two have no room");
    }

    /// One follower reads, another does not → the first has every line, the second is cut off behind what fits, and a
    /// seventeenth is not taken.
    #[test]
    fn the_slow_are_cut_off() {
        let ring = Ring::default();
        ring.push("before");
        let (mut quick, mut slow) = (ring.follow(10).expect("room"), ring.follow(0).expect("room"));
        assert_eq!((quick.kept.len(), slow.kept.len()), (1, 0));
        for number in 0..BACKLOG + 10 {
            ring.push(&number.to_string());
            assert_eq!(quick.coming.try_recv().as_deref().ok(), Some(&*number.to_string()));
        }
        let got = std::iter::from_fn(|| slow.coming.try_recv().ok()).count();
        assert!(got == BACKLOG && slow.coming.is_closed(), "{got}");
        let others: Vec<_> = std::iter::from_fn(|| ring.follow(0)).collect();
        assert_eq!(others.len(), FOLLOWERS - 1);
        drop(others);
        assert!(ring.follow(0).is_some(), "those have gone");
    }
}
