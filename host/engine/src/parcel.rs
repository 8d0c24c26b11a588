//! What travels on timely's edges: one batch per container, and the exchange that sends each row to the worker that owns
//! its key group.

use crate::Input;
use crate::graph::Port;
use std::sync::Arc;
use timely::Accountable;
use timely::communication::Push;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use wasmill_stream::{Batch, key};

/// A batch and where it comes from. Cheap to clone: one producer may feed several steps.
#[derive(Clone)]
pub struct Parcel {
    /// The output that produced it; says which fields its columns are.
    pub from: Input,
    /// The rows.
    pub batch: Arc<Batch>,
    /// The hashes of the keys, if an exchange has computed them.
    pub hashes: Option<Arc<[u64]>>,
}

impl Parcel {
    /// A batch that goes out.
    pub fn new(node: usize, port: Port, batch: Batch) -> Self {
        Self { from: Input { node, port }, batch: Arc::new(batch), hashes: None }
    }
}

impl Default for Parcel {
    fn default() -> Self {
        Self::new(usize::MAX, Port::Main, Batch::default())
    }
}

impl Accountable for Parcel {
    fn record_count(&self) -> i64 {
        self.batch.len() as i64
    }
}

/// Workers are threads of one process: parcels change hands by ownership and are never turned into bytes.
impl ContainerBytes for Parcel {
    fn from_bytes(_bytes: timely::bytes::arc::Bytes) -> Self {
        unreachable!("parcels stay in their process")
    }

    fn length_in_bytes(&self) -> usize {
        unreachable!("parcels stay in their process")
    }

    fn into_bytes<W: std::io::Write>(&self, _writer: &mut W) {
        unreachable!("parcels stay in their process")
    }
}

/// Splits parcels by key group.
#[derive(Default)]
pub struct ByKeyGroup {
    /// Row numbers per worker, reused between parcels.
    rows: Vec<Vec<u32>>,
}

impl ByKeyGroup {
    fn split(&mut self, parcel: &Parcel, workers: usize) -> Vec<Option<Parcel>> {
        let Some(keys) = &parcel.batch.keys else {
            // Rows without keys have the empty key.
            let owner = key::worker(key::group(key::hash(b"")), workers);
            return (0..workers).map(|worker| (worker == owner).then(|| parcel.clone())).collect();
        };
        let hashes = key::hashes(keys);
        self.rows.resize_with(workers, Vec::new);
        self.rows.iter_mut().for_each(Vec::clear);
        for (row, &hash) in hashes.iter().enumerate() {
            self.rows[key::worker(key::group(hash), workers)].push(row as u32);
        }
        let part = |rows: &Vec<u32>| match rows.len() {
            0 => None,
            all if all == hashes.len() => Some(Parcel { hashes: Some(hashes.as_slice().into()), ..parcel.clone() }),
            _ => Some(Parcel {
                from: parcel.from,
                batch: Arc::new(parcel.batch.select(rows)),
                hashes: Some(rows.iter().map(|&row| hashes[row as usize]).collect()),
            }),
        };
        self.rows.iter().map(part).collect()
    }
}

impl Distributor<Parcel> for ByKeyGroup {
    fn partition<T: Clone, P: Push<Message<T, Parcel>>>(&mut self, parcel: &mut Parcel, time: &T, pushers: &mut [P]) {
        if let [only] = pushers {
            return Message::push_at(parcel, time.clone(), only);
        }
        // Taken, for what is left in timely's buffers would hold its bytes' share of the source's budget.
        let parts = self.split(&std::mem::take(parcel), pushers.len());
        for (mut part, pusher) in parts.into_iter().zip(pushers) {
            if let Some(part) = &mut part {
                Message::push_at(part, time.clone(), pusher);
            }
        }
    }

    fn flush<T: Clone, P: Push<Message<T, Parcel>>>(&mut self, _time: &T, _pushers: &mut [P]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the number of workers, each row goes to exactly one, and equal keys go to the same.
    #[test]
    fn rows_are_dealt_once() {
        let keys: Vec<String> = (0..500).map(|i| format!("k{}", i % 97)).collect();
        let batch = Batch { times: (0..500).collect(), keys: Some(keys.iter().collect()), ..Batch::default() };
        let batch = Batch { values: keys.iter().collect(), ..batch };
        let parcel = Parcel::new(0, Port::Main, batch);
        for workers in [1, 2, 3, 4] {
            let parts = ByKeyGroup::default().split(&parcel, workers);
            assert_eq!(parts.len(), workers);
            let mut owner = std::collections::HashMap::new();
            let mut times = Vec::new();
            for (worker, part) in parts.iter().enumerate() {
                let Some(part) = part else { continue };
                let hashes = part.hashes.as_ref().expect("an exchange computes hashes");
                for row in 0..part.batch.len() {
                    let key = part.batch.key(row).expect("keyed").to_vec();
                    assert_eq!(hashes[row], key::hash(&key));
                    assert_eq!(*owner.entry(key).or_insert(worker), worker);
                    times.push(part.batch.times[row]);
                }
            }
            times.sort_unstable();
            assert_eq!(times, (0..500).collect::<Vec<i64>>());
        }
    }
}
