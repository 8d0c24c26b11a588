//! What becomes of records when the service has answered: they have arrived, go again, or came to another shard than the one
//! that they were packed for.

use super::Producer;
use super::lanes::Outgoing;
use super::request::{Parcel, REQUESTS, Sent};
use super::routes::Routes;
use super::target::Fate;
use std::collections::BTreeSet;
use tokio::time::{Instant, sleep_until};
use wasmill_stream::{Error, Result};

impl Producer {
    /// What an answer means for each record that was sent.
    pub(super) fn settle(&mut self, sent: Sent) -> Result<()> {
        let Sent { parcels, answer } = sent;
        self.out -= parcels.iter().map(|parcel| parcel.records.len()).sum::<usize>();
        let now = Instant::now();
        let fates = match answer {
            Ok(fates) => fates,
            Err(error) => {
                self.tally.retries += parcels.len() as u64;
                for parcel in parcels.into_iter().rev() {
                    self.lanes.give_back(parcel.lane, parcel.records);
                }
                self.window = (self.window / 2.0).max(1.0);
                self.pause_until = now + self.pause(error)?;
                return Ok(());
            }
        };
        let (mut refusal, mut refused) = (None, Vec::new());
        let (mut taking, mut refusing) = (BTreeSet::new(), BTreeSet::new());
        for (parcel, fate) in parcels.into_iter().zip(fates) {
            match fate {
                Fate::Stored(shard) => {
                    taking.insert(parcel.shard);
                    self.stored(shard, parcel);
                }
                Fate::Refused(reason) => {
                    self.tally.retries += 1;
                    self.tally.throttled += u64::from(reason.starts_with("ProvisionedThroughput"));
                    refusing.insert(parcel.shard);
                    refusal = Some(reason);
                    refused.push(parcel);
                }
            }
        }
        for parcel in refused.into_iter().rev() {
            self.lanes.give_back(parcel.lane, parcel.records);
        }
        taking.difference(&refusing).for_each(|shard| self.budgets.accepted(*shard, now));
        for shard in &refusing {
            // Once for each answer, however many records it refuses.
            let jitter = self.backoff.jitter();
            self.budgets.refused(*shard, now, jitter);
        }
        self.window = match refusal {
            None => (self.window + 1.0 / self.window).min(REQUESTS),
            Some(_) => (self.window / 2.0).max(1.0),
        };
        match refusal {
            // Shards that refuse have pauses of their own; the others go on.
            Some(reason) if taking.is_empty() => {
                let error = Error::unavailable(format!("{}: all records were refused for now: {reason}", self.target));
                self.pause_until = now + self.pause(error)?;
            }
            _ => self.works(),
        }
        Ok(())
    }

    fn stored(&mut self, shard: String, parcel: Parcel) {
        if shard == parcel.meant_for {
            return self.arrived(parcel);
        }
        // The stream was split or merged.
        self.is_stale = true;
        if parcel.records.len() > 1 {
            self.out += parcel.records.len();
            self.misplaced.push((shard, parcel));
        } else {
            self.arrived(parcel);
        }
    }

    fn arrived(&mut self, parcel: Parcel) {
        for record in &parcel.records {
            self.tally.records += 1;
            self.tally.bytes += record.data.len() as u64;
            self.confirmed.push(record.token);
        }
        self.lanes.done(parcel.lane);
    }

    /// The shards, by a list that is made now.
    pub(super) async fn listed(&mut self) -> Result<Result<Routes>> {
        if self.listing.is_empty() {
            let (target, at) = (self.target.clone(), self.list_at);
            self.listing.spawn(async move {
                sleep_until(at).await;
                target.routes().await
            });
        }
        let panicked = |error| Error::internal(format!("{}: a list ended", self.target)).with_source(error);
        let listed = self.listing.join_next().await;
        listed.ok_or_else(|| Error::internal("nothing was asked for"))?.map_err(panicked)
    }

    /// Puts everything into the lanes of the shards that were listed. Nothing is on its way.
    pub(super) fn find_routes(&mut self, listed: Result<Routes>) -> Result<()> {
        let listed = listed.and_then(|routes| {
            let is_unknown = |(shard, _): &&(String, Parcel)| routes.hashes(shard).is_none();
            match self.misplaced.iter().find(is_unknown) {
                Some((shard, _)) => Err(Error::unavailable(format!("{}: {shard} is not listed yet", self.target))),
                None => Ok(routes),
            }
        });
        match listed {
            Ok(routes) => self.routes = routes,
            Err(error) => {
                self.list_at = Instant::now() + self.pause(error)?;
                return Ok(());
            }
        }
        self.is_stale = false;
        let mut again = Vec::new();
        for (shard, parcel) in std::mem::take(&mut self.misplaced) {
            self.out -= parcel.records.len();
            let hashes = self.routes.hashes(&shard).cloned();
            let belongs = |record: &Outgoing| hashes.as_ref().is_some_and(|hashes| hashes.contains(&record.home()));
            let (here, elsewhere): (Vec<_>, Vec<_>) = parcel.records.into_iter().partition(belongs);
            self.tally.retries += u64::from(!elsewhere.is_empty());
            self.arrived(Parcel { records: here, ..Parcel::empty(parcel.lane) });
            again.extend(elsewhere);
        }
        // Of a key, what came to the wrong shard comes before what waits.
        let waiting = self.lanes.drain();
        for record in again.into_iter().chain(waiting) {
            let lane = self.lane(&record);
            self.lanes.push(lane, record);
        }
        Ok(())
    }
}
