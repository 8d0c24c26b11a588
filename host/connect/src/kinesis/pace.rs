//! When to read a shard again, and when nothing more is to be expected of one that never says that it has caught up. Pure:
//! whoever asks brings the time.

use std::time::Duration;
use tokio::time::Instant;

/// What one of five reads a second may give if they share 2 MB a second, which is what the service allows: a read that
/// gives more is paid for by a longer pause, or by a refusal.
const BYTES_PER_READ: f64 = 400_000.0;

/// So many empty pages in a row, over so long, are a silence, whatever the server says of its lag.
const EMPTY_PAGES: u32 = 10;
const EMPTY_FOR: Duration = Duration::from_secs(5);

/// The least time from the begin of a read that has given so many bytes to the begin of the next. `interval`: after a small
/// one.
pub fn pause(interval: Duration, bytes: usize) -> Duration {
    interval.mul_f64((bytes as f64 / BYTES_PER_READ).max(1.0))
}

/// Empty pages in a row. Those of a shard that is read through hours without records have a lag that shrinks; there are
/// servers that go on to tell a lag when there is nothing to read at all.
#[derive(Debug, Default)]
pub struct Empties(Option<Row>);

#[derive(Debug)]
struct Row {
    since: Instant,
    pages: u32,
    /// The lowest of its lags.
    lag: Option<i64>,
}

impl Empties {
    /// A page had records.
    pub fn end(&mut self) {
        self.0 = None;
    }

    /// A page was empty. Returns whether there is nothing to read, so far as pages can tell.
    pub fn page(&mut self, lag: Option<i64>, now: Instant) -> bool {
        let shrinks = |row: &mut Row| row.lag.zip(lag).is_some_and(|(lowest, lag)| lag < lowest);
        if self.0.as_mut().is_some_and(shrinks) {
            self.end();
        }
        let row = self.0.get_or_insert(Row { since: now, pages: 0, lag });
        row.pages = row.pages.saturating_add(1);
        row.lag = row.lag.or(lag);
        row.pages >= EMPTY_PAGES && now.duration_since(row.since) >= EMPTY_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small pages come at the interval, large ones as rarely as 2 MB/s allow: the largest, of 10 MB, every five seconds.
    #[test]
    fn large_pages_take_their_time() {
        let interval = Duration::from_millis(200);
        let pauses = [0, 400_000, 800_000, 10_000_000].map(|bytes| pause(interval, bytes).as_millis());
        assert_eq!(pauses, [200, 200, 400, 5_000]);
    }

    /// Empty pages every second, with lags that say something or nothing → a silence once there were ten of them in a row over
    /// five seconds, of which none said that reading gets on.
    #[test]
    fn empty_pages_are_a_silence_some_day() {
        let begun = Instant::now();
        let silent_after = |interval: u64, lag: &dyn Fn(u64) -> Option<i64>| {
            let mut empties = Empties::default();
            let at = |page| begun + Duration::from_millis(page * interval);
            (0..100).find(|page| empties.page(lag(*page), at(*page))).map(|page| page + 1)
        };
        assert_eq!(silent_after(1_000, &|_| Some(5)), Some(10), "as often as it takes");
        assert_eq!(silent_after(100, &|_| Some(5)), Some(51), "as long as it takes");
        assert_eq!(silent_after(1_000, &|_| None), Some(10), "no lag at all");
        assert_eq!(silent_after(1_000, &|page| Some(page as i64)), Some(10), "a lag that grows");
        assert_eq!(silent_after(1_000, &|page| Some(1_000 - page as i64)), None, "a lag that shrinks");
        assert_eq!(silent_after(1_000, &|page| Some(if page < 20 { 100 - page as i64 } else { 80 })), Some(30));
        let mut empties = Empties::default();
        let pages = (0..30).map(|page| {
            if page % 9 == 0 {
                empties.end();
            }
            empties.page(Some(5), begun + Duration::from_secs(page))
        });
        assert!(pages.into_iter().all(|silent| !silent), "records in between");
    }
}
