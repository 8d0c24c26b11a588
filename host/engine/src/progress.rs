//! What sources tell steps about event time: each source operator announces the progress of its splits to every worker
//! when it closes an epoch, and a stateful step combines what it heard into its watermark.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wasmill_stream::watermark::Progress;

/// One source operator's progress, addressed to one worker. It travels with the epoch that it closes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Announcement {
    /// The worker that it is for.
    pub to: u64,
    /// The source node.
    pub source: usize,
    /// The worker whose splits it is about.
    pub from: usize,
    /// Milliseconds, or one of the two reserved values below. Plain, so that timely can carry it.
    state: (u8, i64),
}

impl Announcement {
    /// Announces `progress` to worker `to`.
    pub fn new(to: usize, source: usize, from: usize, progress: Progress) -> Self {
        let state = match progress {
            Progress::At(time) => (0, time),
            Progress::Idle => (1, 0),
            Progress::Done => (2, 0),
        };
        Self { to: to as u64, source, from, state }
    }

    /// What it says.
    pub fn progress(&self) -> Progress {
        match self.state {
            (0, time) => Progress::At(time),
            (1, _) => Progress::Idle,
            _ => Progress::Done,
        }
    }
}

/// What one step has heard from all its sources, on all workers.
pub struct Heard {
    by_operator: BTreeMap<(usize, usize), Progress>,
    watermark: i64,
}

impl Heard {
    /// Nothing heard yet from these sources, each of which has an operator on every worker.
    pub fn new(sources: &[usize], workers: usize) -> Self {
        let operators = sources.iter().flat_map(|&source| (0..workers).map(move |worker| (source, worker)));
        let by_operator = operators.map(|operator| (operator, Progress::UNKNOWN)).collect();
        Self { by_operator, watermark: i64::MIN }
    }

    /// Takes note of an announcement. Announcements of one operator arrive in the order of their epochs.
    pub fn hear(&mut self, announcement: &Announcement) {
        self.by_operator.insert((announcement.source, announcement.from), announcement.progress());
    }

    /// The watermark that follows from all that was heard. Never goes back.
    pub fn watermark(&mut self) -> i64 {
        let all = self.by_operator.values().fold(Progress::Done, |all, one| all.meet(*one));
        self.watermark = all.watermark(self.watermark);
        self.watermark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The watermark waits for every operator of every source, and follows the slowest.
    #[test]
    fn the_slowest_operator_rules() {
        let mut heard = Heard::new(&[3, 5], 2);
        let mut say = |source, from, progress| {
            heard.hear(&Announcement::new(0, source, from, progress));
            heard.watermark()
        };
        assert_eq!(say(3, 0, Progress::At(50)), i64::MIN);
        assert_eq!(say(3, 1, Progress::Done), i64::MIN);
        assert_eq!(say(5, 0, Progress::Idle), i64::MIN);
        assert_eq!(say(5, 1, Progress::At(40)), 40);
        assert_eq!(say(5, 1, Progress::At(60)), 50);
        assert_eq!(say(3, 0, Progress::At(10)), 50);
        assert_eq!(say(3, 0, Progress::Done), 60);
        assert_eq!(say(5, 1, Progress::Done), 60);
        assert_eq!(say(5, 0, Progress::Done), i64::MAX);
    }
}
