//! How many requests may be on their way at once, and how many bytes in them. The number follows what the server says: it grows by
//! about one for each round of answers, and halves when the server is overloaded (AIMD). A request keeps its permit until all
//! its documents have met their fate, so a server in trouble never makes more of them, nor does what waits take more memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// So many requests at once at the beginning.
const FIRST: f64 = 2.0;

/// The permits of one sink.
#[derive(Debug)]
pub struct Permits {
    state: Mutex<State>,
    /// Something may be permitted that was not before.
    freed: Notify,
}

#[derive(Debug)]
struct State {
    window: Window,
    requests: usize,
    bytes: usize,
    /// Most bytes.
    budget: usize,
}

/// How many requests the server seems to bear. Pure: the time is passed in.
#[derive(Debug)]
struct Window {
    size: f64,
    most: f64,
    /// When it was last halved: what was sent before that says nothing new.
    halved: Option<Instant>,
}

/// The right to have one request on its way, which ends when it is dropped.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    bytes: usize,
}

impl Permits {
    /// At most so many requests at once, with so many bytes together. A single request may be larger than that.
    pub fn new(most: usize, budget: usize) -> Arc<Self> {
        let most = most.max(1) as f64;
        let window = Window { size: FIRST.min(most), most, halved: None };
        Arc::new(Self { state: Mutex::new(State { window, requests: 0, bytes: 0, budget }), freed: Notify::new() })
    }

    /// Waits until a request of so many bytes is permitted. For one who waits at a time.
    pub async fn acquire(self: &Arc<Self>, bytes: usize) -> Permit {
        while !self.state().admit(bytes) {
            // A notification that nobody waits for is kept for the next one who does.
            self.freed.notified().await;
        }
        Permit { permits: self.clone(), bytes }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admit(&mut self, bytes: usize) -> bool {
        let fits = self.requests < self.window.requests() && self.bytes + bytes <= self.budget;
        let is_free = fits || self.requests == 0;
        if is_free {
            self.requests += 1;
            self.bytes += bytes;
        }
        is_free
    }
}

impl Permit {
    /// The server has taken all that it was sent.
    pub fn accepted(&self) {
        self.permits.state().window.grow();
        self.permits.freed.notify_one();
    }

    /// The server did not take what was sent at this time, or has not answered.
    pub fn refused(&self, sent: Instant) {
        self.permits.state().window.shrink(sent, Instant::now());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.permits.state();
        state.requests -= 1;
        state.bytes -= self.bytes;
        drop(state);
        self.permits.freed.notify_one();
    }
}

impl Window {
    fn requests(&self) -> usize {
        self.size as usize
    }

    fn grow(&mut self) {
        self.size = (self.size + 1.0 / self.size).min(self.most);
    }

    fn shrink(&mut self, sent: Instant, now: Instant) {
        // Those that were on their way together are refused together, which is one reason and not many.
        if self.halved.is_none_or(|halved| sent >= halved) {
            self.size = (self.size / 2.0).max(1.0);
            self.halved = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Answers let the window grow by one a round up to its limit; refusals of one round halve it once, those of the next
    /// round again, down to one.
    #[test]
    fn follows_the_server() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut window = Window { size: 1.0, most: 8.0, halved: None };
        let mut sizes = vec![];
        for _ in 0..40 {
            window.grow();
            sizes.push(window.requests());
        }
        assert!(sizes.is_sorted());
        assert_eq!((sizes[0], sizes[2], sizes[39]), (2, 2, 8), "{sizes:?}");
        for _ in 0..5 {
            window.shrink(start, start + second);
        }
        assert_eq!(window.requests(), 4);
        for (round, expected) in (1..).zip([2, 1, 1]) {
            window.shrink(start + round * second, start + (round + 1) * second);
            assert_eq!(window.requests(), expected);
        }
        window.grow();
        assert_eq!(window.requests(), 2);
    }

    /// Requests are bounded by their number and by their bytes; one that is larger than all that may go alone; who is through
    /// makes room.
    #[test]
    fn number_and_bytes_are_bounded() {
        let permits = Permits::new(2, 100);
        let take = |bytes| permits.state().admit(bytes).then(|| Permit { permits: permits.clone(), bytes });
        let first = take(60).expect("room");
        assert!(take(60).is_none(), "too many bytes");
        let second = take(40).expect("room");
        assert!(take(0).is_none(), "too many requests");
        drop(first);
        assert!(take(1_000).is_none());
        drop(second);
        let alone = take(1_000).expect("nothing else is on its way");
        assert!(take(0).is_none());
        drop(alone);
        assert!(take(0).is_some());
    }
}
