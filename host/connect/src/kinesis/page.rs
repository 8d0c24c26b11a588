//! The records of one read, and what the server says beside them.

use super::aggregate::has_magic;
use super::chunks::Records;
use super::connection::Shard;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::types::{ChildShard, Record, SubscribeToShardEvent};
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::{Error, ErrorKind, Result, Sequence};

/// How to go on behind a page.
pub enum Next {
    /// With this iterator.
    Iterator(String),
    /// The subscription goes on.
    Event,
    /// Not at all: the shard is closed, and this was its end.
    End,
}

/// The records of one read, or of one event.
pub struct Page {
    /// As the server sent them.
    pub records: Records,
    /// How to go on.
    pub next: Next,
    /// When the first and the last record arrived, by the server's clock, in milliseconds.
    pub arrived: [Option<i64>; 2],
    /// How many milliseconds the records behind this page are old at most, if the server says: 0 if there are none.
    pub lag: Option<i64>,
    /// The children of a closed shard, from servers that name them.
    pub children: Option<Vec<Shard>>,
}

impl Page {
    /// Reads an answer. `dated`: each record with the time of its arrival.
    pub fn of(answer: GetRecordsOutput, dated: bool) -> Result<Self> {
        let children = answer.child_shards;
        // A shard that seems closed would never be read again. The service says with every answer how far behind it is; what
        // says neither that nor how to go on is a body that got lost on its way.
        if answer.next_shard_iterator.is_none() && answer.millis_behind_latest.is_none() && children.is_none() {
            return Err(Error::unavailable(
                "no answer of GetRecords: expected NextShardIterator, MillisBehindLatest or ChildShards",
            ));
        }
        let next = answer.next_shard_iterator.map_or(Next::End, Next::Iterator);
        Self::new(&answer.records, dated, next, answer.millis_behind_latest, children)
    }

    /// Reads an event of a subscription. `dated`: as in an answer.
    pub fn pushed(event: SubscribeToShardEvent, dated: bool) -> Result<Self> {
        let children = event.child_shards;
        // Only the last event of a closed shard has no place to go on from. One that names children has one all the same with
        // some servers.
        let names_children = children.as_ref().is_some_and(|children| !children.is_empty());
        let is_end = names_children || event.continuation_sequence_number.is_empty();
        let next = if is_end { Next::End } else { Next::Event };
        Self::new(&event.records, dated, next, Some(event.millis_behind_latest), children)
    }

    fn new(
        records: &[Record],
        dated: bool,
        next: Next,
        lag: Option<i64>,
        children: Option<Vec<ChildShard>>,
    ) -> Result<Self> {
        let bytes = records.iter().map(|record| record.data.as_ref().len()).sum();
        let mut values = BinaryBuilder::with_capacity(records.len(), bytes);
        let mut sequences = Vec::with_capacity(records.len());
        let mut may_have_aggregates = false;
        for record in records {
            let number = &record.sequence_number;
            let sequence = Sequence::parse(number)
                .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("\"{number}\" is no sequence number")))?;
            may_have_aggregates |= has_magic(record.data.as_ref());
            values.push(record.data.as_ref());
            sequences.push(sequence);
        }
        // The service tells milliseconds, in seconds: no float is exactly most of these.
        let arrived = |record: &Record| {
            let nanos = record.approximate_arrival_timestamp?.as_nanos();
            i64::try_from((nanos + 500_000).div_euclid(1_000_000)).ok()
        };
        // What some do not say is known of none.
        let arrivals = if dated { records.iter().map(arrived).collect() } else { None };
        Ok(Self {
            arrived: [records.first(), records.last()].map(|record| arrived(record?)),
            records: Records { values: values.finish(), sequences, arrivals, may_have_aggregates },
            next,
            lag,
            children: children.map(|all| all.into_iter().map(Shard::from).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kinesis::types::HashKeyRange;

    /// Events that say how to go on, that name children, and that do both or neither → those that name children and those that do
    /// not say how to go on are the last.
    #[test]
    fn last_events() {
        let range = || HashKeyRange::builder().starting_hash_key("0").ending_hash_key("9").build().expect("both ends");
        let child = || ChildShard::builder().shard_id("b").parent_shards("a").hash_key_range(range()).build();
        for (continuation, children, is_last) in [("7", 0, false), ("7", 2, true), ("", 2, true), ("", 0, true)] {
            let children = (0..children).map(|_| child().expect("a child")).collect();
            let event = SubscribeToShardEvent::builder().set_records(Some(Vec::new())).millis_behind_latest(0);
            let event = event.continuation_sequence_number(continuation).set_child_shards(Some(children));
            let page = Page::pushed(event.build().expect("an event"), false).expect("a page");
            assert_eq!(matches!(page.next, Next::End), is_last, "{continuation:?}");
        }
    }
}
