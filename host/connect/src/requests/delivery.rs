//! Brings the items of a request to their fate: written, or among the rejected. What the other side could not take is sent again for
//! as long as it takes; what we are not allowed to write waits until we are.

use super::admission::{Admission, Admissions};
use super::permits::Permit;
use crate::retry::{Backoff, Patience};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Batch, Error, ErrorKind, Result};

/// The other side of a sink.
pub trait Service: Send + Sync + 'static {
    /// What a row becomes.
    type Item: Send + Sync + 'static;

    /// Sends items in one request. Tries once. An error says nothing of any of them.
    fn send(&self, items: &[&Self::Item]) -> impl Future<Output = Result<Answer>> + Send;

    /// The next request has fresh credentials, if there are some.
    fn renew_credentials(&self) {}
}

/// What the other side said about a request.
#[derive(Debug)]
pub enum Answer {
    /// Something about each item, in order.
    Items(Vec<Fate>),
    /// It cannot take the request as it is; without the item that is to blame it may.
    Malformed(String),
    /// It takes nothing before so long.
    Later(String, Duration),
}

/// What becomes of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is written, or need not be.
    Done,
    /// The other side had no room for it: send it again.
    Again(String),
    /// It can never be written.
    Refused(String),
    /// It may not be written now, whatever it is: a right is missing, or what it is written to.
    Barred(String),
}

/// Where an item came from.
pub type Origin = (Arc<Batch>, usize);

/// An item that waits to be written, or is on its way.
#[derive(Debug)]
pub struct Entry<I> {
    /// What is sent.
    pub item: I,
    /// The rows that it has become of.
    pub origins: Vec<Origin>,
    /// About how many bytes of a request it takes.
    pub bytes: usize,
    /// Stands for what it is about, if items about the same thing must arrive in the order in which they came.
    pub order: Option<u64>,
    /// What it takes the place of, the newest last: that is sent if this one is refused.
    pub older: Vec<(I, Vec<Origin>)>,
}

/// What all requests of a sink share.
pub struct Delivery<S> {
    /// Where they go.
    pub service: S,
    /// The sink's counters.
    pub ledger: Arc<StepLedger>,
    /// Whether it is let in.
    pub admissions: Arc<Admissions>,
}

/// Why items have to be sent again.
#[derive(Default)]
struct Left {
    numbers: Vec<usize>,
    again: Option<String>,
    barred: Option<String>,
}

impl<I> Entry<I> {
    /// An item of one row.
    pub fn new(item: I, batch: &Arc<Batch>, row: usize, bytes: usize, order: Option<u64>) -> Self {
        Self { item, origins: vec![(batch.clone(), row)], bytes, order, older: Vec::new() }
    }
}

impl<S: Service> Delivery<S> {
    /// Sends items until each has met its fate.
    pub async fn deliver(self: Arc<Self>, mut entries: Vec<Entry<S::Item>>, permit: Permit) -> Result<()> {
        let mut backoff = Backoff::new(Patience::ENDLESS).counting(&self.ledger);
        let mut admission = self.admissions.of_request();
        let mut requests: Vec<Vec<usize>> = vec![(0..entries.len()).collect()];
        while let Some(numbers) = requests.pop() {
            let (sent, mut at_least) = (Instant::now(), Duration::ZERO);
            let items: Vec<_> = numbers.iter().filter_map(|&number| Some(&entries.get(number)?.item)).collect();
            let answer = self.service.send(&items).await;
            let failure = match answer {
                Ok(Answer::Items(fates)) => {
                    let left = self.settle(&mut entries, &numbers, fates);
                    let failure = self.judge(&left, &mut admission);
                    if !left.numbers.is_empty() {
                        requests.push(left.numbers);
                    }
                    failure
                }
                Ok(Answer::Malformed(reason)) => {
                    admission.granted();
                    self.split(&mut entries, numbers, &reason, &mut requests);
                    None
                }
                Ok(Answer::Later(reason, pause)) => {
                    admission.granted();
                    at_least = pause;
                    requests.push(numbers);
                    Some(Error::unavailable(reason))
                }
                Err(error) => {
                    requests.push(numbers);
                    Some(self.let_in(error, &mut admission))
                }
            };
            let Some(error) = failure else {
                backoff.succeeded();
                permit.accepted();
                continue;
            };
            permit.refused(sent);
            match backoff.pause(error) {
                Ok(pause) => tokio::time::sleep(pause.max(at_least)).await,
                Err(error) => return self.give_up(&entries, &requests, error),
            }
        }
        Ok(())
    }

    /// The one end of requests that are not sent again although they have failed: `requests` has the items, by number, that have
    /// met no fate yet.
    fn give_up(&self, entries: &[Entry<S::Item>], requests: &[Vec<usize>], error: Error) -> Result<()> {
        let left = requests.iter().flatten().filter_map(|&number| entries.get(number));
        let rows: usize = left.map(Entry::rows).sum();
        Err(error.context(format!("{rows} rows are not written")))
    }

    /// Counts the items whose fate is known. The others are left.
    fn settle(&self, entries: &mut [Entry<S::Item>], numbers: &[usize], fates: Vec<Fate>) -> Left {
        let mut left = Left::default();
        for (&number, fate) in numbers.iter().zip(fates) {
            let Some(entry) = entries.get_mut(number) else { continue };
            match fate {
                Fate::Done => self.count_written(entry.rows()),
                Fate::Again(reason) => {
                    left.numbers.push(number);
                    left.again = Some(reason);
                }
                Fate::Barred(reason) => {
                    left.numbers.push(number);
                    left.barred = Some(reason);
                }
                Fate::Refused(reason) => {
                    if self.reject(entry, &reason) {
                        left.numbers.push(number);
                    }
                }
            }
        }
        left
    }

    /// What has to be waited for before the rest is sent again.
    fn judge(&self, left: &Left, admission: &mut Admission) -> Option<Error> {
        match (&left.barred, &left.again) {
            (Some(reason), _) => Some(self.let_in(Error::new(ErrorKind::Denied, reason.as_str()), admission)),
            (None, Some(reason)) => {
                admission.granted();
                Some(Error::unavailable(reason.as_str()))
            }
            (None, None) => {
                admission.granted();
                None
            }
        }
    }

    /// What we are not allowed to do now we may be allowed to later: it is waited for like a server that does not answer.
    fn let_in(&self, error: Error, admission: &mut Admission) -> Error {
        if error.kind() != ErrorKind::Denied {
            return error;
        }
        self.service.renew_credentials();
        admission.refused(&error.report());
        Error::unavailable(error.report())
    }

    /// Halves a request that was refused as a whole, down to the item that is to blame.
    fn split(
        &self,
        entries: &mut [Entry<S::Item>],
        mut numbers: Vec<usize>,
        reason: &str,
        requests: &mut Vec<Vec<usize>>,
    ) {
        if let [number] = numbers[..] {
            let is_left = entries.get_mut(number).is_some_and(|entry| self.reject(entry, reason));
            requests.extend(is_left.then_some(numbers));
            return;
        }
        let second = numbers.split_off(numbers.len() / 2);
        requests.push(second);
        requests.push(numbers);
    }

    fn count_written(&self, rows: usize) {
        StepLedger::add(&self.ledger.emitted, rows);
        StepLedger::add(&self.ledger.written, rows);
    }

    /// Rejects the rows of an item. Whether there is one left that it took the place of.
    fn reject(&self, entry: &mut Entry<S::Item>, reason: &str) -> bool {
        for (batch, row) in std::mem::take(&mut entry.origins) {
            self.ledger.refuse(&batch, row, reason);
        }
        let Some((item, origins)) = entry.older.pop() else { return false };
        (entry.item, entry.origins) = (item, origins);
        true
    }
}

impl<I> Entry<I> {
    fn rows(&self) -> usize {
        self.origins.len() + self.older.iter().map(|(_, origins)| origins.len()).sum::<usize>()
    }
}
