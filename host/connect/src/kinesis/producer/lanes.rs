//! What waits to be sent: a queue for each lane, of which no more than one part is on its way at a time, so that what is
//! tried again never comes behind what was sent later. Pure.

use bytes::Bytes;
use md5::{Digest, Md5};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A record to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its partition key: 1 to 256 characters.
    pub key: Arc<str>,
    /// Its explicit hash key.
    pub hash: Option<u128>,
    /// Its bytes.
    pub data: Bytes,
    /// What whoever sends it wants to know when it has arrived: its event time, for example.
    pub token: i64,
}

impl Outgoing {
    /// The hash that decides about its shard.
    pub fn home(&self) -> u128 {
        self.hash.unwrap_or_else(|| u128::from_be_bytes(Md5::digest(self.key.as_bytes()).into()))
    }

    /// What counts for the limits of the service.
    pub fn size(&self) -> usize {
        self.key.len() + self.data.len()
    }
}

/// Records that have to arrive in the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Those of one partition key.
    Key(Arc<str>),
    /// Those of the shard that begins with this hash.
    Shard(u128),
}

#[derive(Debug, Default)]
struct Queue {
    records: VecDeque<Outgoing>,
    is_out: bool,
}

/// The lanes.
#[derive(Debug, Default)]
pub struct Lanes {
    queues: HashMap<Lane, Queue>,
    /// Lanes with records of which nothing is on its way.
    ready: VecDeque<Lane>,
    waiting: usize,
}

impl Lanes {
    /// How many records wait that are not on their way.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts a record behind all others of its lane. Returns how many wait there now.
    pub fn push(&mut self, lane: Lane, record: Outgoing) -> usize {
        let queue = self.queues.entry(lane.clone()).or_default();
        if queue.records.is_empty() && !queue.is_out {
            self.ready.push_back(lane);
        }
        queue.records.push_back(record);
        self.waiting += 1;
        queue.records.len()
    }

    /// Lanes of which something may be sent, each once, in turn.
    pub fn take_ready(&mut self) -> VecDeque<Lane> {
        std::mem::take(&mut self.ready)
    }

    /// Lanes of `take_ready` of which nothing was taken.
    pub fn not_now(&mut self, lanes: impl DoubleEndedIterator<Item = Lane>) {
        lanes.rev().for_each(|lane| self.ready.push_front(lane));
    }

    /// The next record of a lane.
    pub fn first(&self, lane: &Lane) -> Option<&Outgoing> {
        self.queues.get(lane)?.records.front()
    }

    /// Takes records of a lane as long as `more` wants the next one. They are on their way until `give_back` or `done`.
    pub fn take(&mut self, lane: &Lane, mut more: impl FnMut(&Outgoing) -> bool) -> Vec<Outgoing> {
        let Some(queue) = self.queues.get_mut(lane) else { return Vec::new() };
        let count = queue.records.iter().take_while(|record| more(record)).count();
        self.waiting -= count;
        queue.is_out = count > 0;
        queue.records.drain(..count).collect()
    }

    /// Records did not arrive: they come before all others of their lane again.
    pub fn give_back(&mut self, lane: Lane, records: Vec<Outgoing>) {
        self.waiting += records.len();
        let queue = self.queues.entry(lane.clone()).or_default();
        records.into_iter().rev().for_each(|record| queue.records.push_front(record));
        queue.is_out = false;
        if !queue.records.is_empty() {
            self.ready.push_front(lane);
        }
    }

    /// What was on its way has arrived.
    pub fn done(&mut self, lane: Lane) {
        let Some(queue) = self.queues.get_mut(&lane) else { return };
        queue.is_out = false;
        if queue.records.is_empty() {
            self.queues.remove(&lane);
        } else {
            self.ready.push_back(lane);
        }
    }

    /// All records, to be put into other lanes. Nothing may be on its way.
    pub fn drain(&mut self) -> Vec<Outgoing> {
        self.ready.clear();
        self.waiting = 0;
        self.queues.drain().flat_map(|(_, queue)| queue.records).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeMap;

    fn record(key: u8, number: i64) -> (Lane, Outgoing) {
        let key: Arc<str> = key.to_string().into();
        (Lane::Key(key.clone()), Outgoing { key, hash: None, data: Bytes::new(), token: number })
    }

    proptest! {
        /// Whatever is refused, and whenever: each lane's records arrive once and in order, one part at a time.
        #[test]
        fn order_is_kept(steps in proptest::collection::vec((any::<u8>(), 0u8..3, 1usize..4), 0..200)) {
            let mut lanes = Lanes::default();
            let (mut next, mut arrived) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
            let mut out: VecDeque<(Lane, Vec<Outgoing>)> = VecDeque::new();
            let mut settle = |lanes: &mut Lanes, (lane, records): (Lane, Vec<Outgoing>), arrives: bool| {
                if !arrives {
                    lanes.give_back(lane, records);
                    return Ok(());
                }
                for record in &records {
                    let next = arrived.entry(record.key.to_string()).or_default();
                    prop_assert_eq!(record.token, *next);
                    *next += 1;
                }
                lanes.done(lane);
                Ok(())
            };
            for (value, what, count) in steps {
                match what {
                    0 => {
                        let next = next.entry((value % 4).to_string()).or_default();
                        let (lane, record) = record(value % 4, *next);
                        lanes.push(lane, record);
                        *next += 1;
                    }
                    1 => {
                        let mut ready = lanes.take_ready();
                        if let Some(lane) = ready.pop_front() {
                            prop_assert!(!out.iter().any(|(other, _)| *other == lane), "one part at a time");
                            let mut left = count;
                            let records = lanes.take(&lane, |_| { let more = left > 0; left -= usize::from(more); more });
                            prop_assert!(!records.is_empty());
                            out.push_back((lane, records));
                        }
                        lanes.not_now(ready.into_iter());
                    }
                    _ => if let Some(part) = out.pop_front() {
                        settle(&mut lanes, part, value % 2 == 0)?;
                    }
                }
            }
            loop {
                while let Some(part) = out.pop_front() {
                    settle(&mut lanes, part, true)?;
                }
                let ready = lanes.take_ready();
                if ready.is_empty() {
                    break;
                }
                out.extend(ready.into_iter().map(|lane| (lane.clone(), lanes.take(&lane, |_| true))));
            }
            prop_assert_eq!(lanes.waiting(), 0);
            prop_assert_eq!(arrived, next);
        }
    }
}
