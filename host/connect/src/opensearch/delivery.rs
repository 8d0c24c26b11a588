//! Brings the documents of a request to their fate: in the index, or among the rejected. What the server could not take is sent
//! again for as long as it takes.

use super::admission::{Admission, Admissions};
use super::answer::{Answer, Fate};
use super::bulk::Documents;
use super::collisions::Collisions;
use super::permits::Permit;
use super::server::Server;
use crate::outage::Outage;
use crate::retry::{Backoff, Patience};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::time::Instant;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Error, ErrorKind, Result};

/// How often the server may fail over a document.
const TRIES: u32 = 6;

/// What all requests of a sink share.
pub struct Delivery {
    /// Where they go.
    pub server: Arc<Server>,
    /// The path of requests.
    pub path: String,
    /// The sink's counters.
    pub ledger: Arc<StepLedger>,
    /// Whether it is let in.
    pub admissions: Arc<Admissions>,
    /// Whether it takes anything.
    pub outage: Arc<Outage>,
    /// How large requests may be.
    pub size: RequestSize,
    /// Conflicts with documents that must be the same; `None` if rows have ids of their own.
    pub collisions: Option<Collisions>,
}

/// How large a request may be: smaller from the moment when the server says that one was too large.
#[derive(Debug)]
pub struct RequestSize {
    limit: AtomicUsize,
    /// The largest one that was taken.
    taken: AtomicUsize,
}

impl RequestSize {
    /// Nothing is known yet but what the job file says.
    pub fn new(limit: usize) -> Self {
        Self { limit: AtomicUsize::new(limit), taken: AtomicUsize::new(0) }
    }

    /// Most bytes.
    pub fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    fn taken(&self, bytes: usize) {
        self.taken.fetch_max(bytes, Relaxed);
    }

    /// A request of several documents was too large.
    fn too_large(&self, bytes: usize) {
        let known = self.taken.load(Relaxed).min(bytes.saturating_sub(1));
        let before = self.limit.fetch_min(known.max(bytes / 2), Relaxed);
        let now = self.limit();
        if now < before {
            tracing::info!("requests have at most {now} bytes from now on: one of {bytes} was too large");
        }
    }
}

/// Documents that have to be sent again.
#[derive(Default)]
struct Left {
    numbers: Vec<usize>,
    reason: Option<String>,
    /// Why those are not allowed that are not.
    barred: Option<String>,
    /// Documents that were there already, and where: those to look at.
    there: Vec<(usize, (String, String))>,
}

impl Delivery {
    /// Sends documents until each has met its fate.
    pub async fn deliver(self: Arc<Self>, documents: Documents, permit: Permit) -> Result<()> {
        let mut backoff = Backoff::new(Patience::ENDLESS).counting(&self.ledger);
        let mut admission = self.admissions.of_request();
        let mut failures = vec![0; documents.len()];
        let mut requests: Vec<Vec<usize>> = vec![(0..documents.len()).collect()];
        while let Some(numbers) = requests.pop() {
            if let Some(reason) = self.outage.turns_away() {
                requests.push(numbers);
                self.give_up(&documents, requests.into_iter().flatten(), &reason);
                return Ok(());
            }
            let body = documents.request(&numbers);
            if numbers.len() > 1 && body.len() > self.size.limit() {
                // The limit was learned when these were put together already.
                self.split(&documents, numbers, "", &mut requests);
                continue;
            }
            let (bytes, sent) = (body.len(), Instant::now());
            let failure = match self.server.bulk(&self.path, body, numbers.len()).await {
                Ok(Answer::Items(fates)) => {
                    self.size.taken(bytes);
                    let left = self.settle(&documents, &numbers, fates, &mut failures);
                    if left.numbers.len() < numbers.len() {
                        self.outage.is_over();
                    }
                    let failure = self.judge(&left, &mut admission);
                    self.look(&documents, left.there).await;
                    if !left.numbers.is_empty() {
                        requests.push(left.numbers);
                    }
                    failure
                }
                Ok(Answer::TooLarge(reason)) => {
                    if numbers.len() > 1 {
                        self.size.too_large(bytes);
                    }
                    self.split(&documents, numbers, &reason, &mut requests);
                    continue;
                }
                Ok(Answer::Malformed(reason)) => {
                    self.split(&documents, numbers, &reason, &mut requests);
                    continue;
                }
                Err(error) => {
                    requests.push(numbers);
                    Some(self.let_in(error, &mut admission))
                }
            };
            match failure {
                None => {
                    backoff.succeeded();
                    permit.accepted();
                }
                Some(error) => {
                    permit.refused(sent);
                    if let Some(reason) = self.outage.failed(&error) {
                        self.give_up(&documents, requests.into_iter().flatten(), &reason);
                        return Ok(());
                    }
                    backoff.wait(error).await?;
                }
            }
        }
        Ok(())
    }

    /// Counts the documents whose fate is known. The others are left. `failures`: how often the server has failed over each.
    fn settle(&self, documents: &Documents, numbers: &[usize], fates: Vec<Fate>, failures: &mut [u32]) -> Left {
        let mut left = Left::default();
        // What is sent again would take the place of later documents of its id, so those come again behind it.
        let mut again = HashSet::new();
        for (&number, fate) in numbers.iter().zip(fates) {
            let order = documents.order(number);
            failures[number] += u32::from(matches!(fate, Fate::Failed(_)));
            match fate {
                Fate::Written if order.is_some_and(|order| again.contains(&order)) => left.numbers.push(number),
                Fate::Written => self.count_written(),
                Fate::There(place) => {
                    self.count_written();
                    let is_sample = self.collisions.as_ref().is_some_and(Collisions::is_sample);
                    left.there.extend(place.filter(|_| is_sample).map(|place| (number, place)));
                }
                Fate::Failed(reason) if failures[number] >= TRIES => self.reject(documents, number, &reason),
                Fate::Refused(reason) => self.reject(documents, number, &reason),
                Fate::Again(reason) | Fate::Failed(reason) => {
                    left.reason = Some(reason);
                    left.numbers.push(number);
                    again.extend(order);
                }
                Fate::Barred(reason) => {
                    left.barred = Some(reason);
                    left.numbers.push(number);
                    again.extend(order);
                }
            }
        }
        left
    }

    /// Looks at documents that were there already.
    async fn look(&self, documents: &Documents, there: Vec<(usize, (String, String))>) {
        if let (Some(collisions), false) = (&self.collisions, there.is_empty()) {
            let samples = there.into_iter().map(|(number, place)| (place, documents.value(number)));
            collisions.compare(&self.server, samples.collect()).await;
        }
    }

    /// What has to be waited for before the rest is sent again.
    fn judge(&self, left: &Left, admission: &mut Admission) -> Option<Error> {
        match (&left.barred, &left.reason) {
            (Some(reason), _) => {
                let refusal = Error::new(ErrorKind::Denied, format!("{}: {reason}", self.server));
                Some(self.let_in(refusal, admission))
            }
            (None, Some(reason)) => {
                admission.granted();
                Some(Error::unavailable(format!("{} refused for now: {reason}", self.server)))
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
        self.server.renew_credentials();
        admission.refused(&error.report());
        Error::unavailable(error.report())
    }

    /// Halves a request that was refused as a whole, down to the document that is to blame.
    fn split(&self, documents: &Documents, mut numbers: Vec<usize>, reason: &str, requests: &mut Vec<Vec<usize>>) {
        if let [number] = numbers[..] {
            self.reject(documents, number, reason);
            return;
        }
        let second = numbers.split_off(numbers.len() / 2);
        requests.push(second);
        requests.push(numbers);
    }

    fn count_written(&self) {
        StepLedger::add(&self.ledger.emitted, 1);
        StepLedger::add(&self.ledger.written, 1);
    }

    /// Makes dead letters of documents, in the order in which they came.
    pub fn give_up(&self, documents: &Documents, numbers: impl IntoIterator<Item = usize>, reason: &str) {
        let mut numbers: Vec<usize> = numbers.into_iter().collect();
        numbers.sort_unstable();
        for number in numbers {
            let (batch, row) = documents.origin(number);
            self.ledger.give_up(batch, row, reason);
        }
    }

    fn reject(&self, documents: &Documents, number: usize, reason: &str) {
        let (batch, row) = documents.origin(number);
        self.ledger.refuse(batch, row, reason);
    }
}
