//! The records of one read, and what the server says beside them.

use super::aggregate::has_magic;
use super::chunks::Records;
use super::stream::Shard;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::{Error, ErrorKind, Result, Sequence};

/// The records of one read.
pub struct Page {
    /// As the server sent them.
    pub records: Records,
    /// The iterator to go on with; `None` at the end of a closed shard.
    pub next: Option<String>,
    /// When the last record arrived, by the server's clock, in milliseconds.
    pub arrived: Option<i64>,
    /// Whether the server says that there is nothing behind this page.
    pub at_tip: bool,
    /// The children of a closed shard, from servers that name them.
    pub children: Option<Vec<Shard>>,
}

impl Page {
    /// Reads an answer.
    pub fn of(answer: GetRecordsOutput) -> Result<Self> {
        let records = answer.records;
        let bytes = records.iter().map(|record| record.data.as_ref().len()).sum();
        let mut values = BinaryBuilder::with_capacity(records.len(), bytes);
        let mut sequences = Vec::with_capacity(records.len());
        let mut may_have_aggregates = false;
        for record in &records {
            let number = &record.sequence_number;
            let sequence = Sequence::parse(number)
                .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("\"{number}\" is no sequence number")))?;
            may_have_aggregates |= has_magic(record.data.as_ref());
            values.push(record.data.as_ref());
            sequences.push(sequence);
        }
        let children = answer.child_shards;
        // A shard that seems closed would never be read again. The service says with every answer how far behind it is; what
        // says neither that nor how to go on is a body that got lost on its way.
        if answer.next_shard_iterator.is_none() && answer.millis_behind_latest.is_none() && children.is_none() {
            return Err(Error::unavailable(
                "no answer of GetRecords: expected NextShardIterator, MillisBehindLatest or ChildShards",
            ));
        }
        let arrived = records.last().and_then(|record| record.approximate_arrival_timestamp?.to_millis().ok());
        Ok(Self {
            arrived,
            records: Records { values: values.finish(), sequences, may_have_aggregates },
            next: answer.next_shard_iterator,
            at_tip: answer.millis_behind_latest == Some(0),
            children: children.map(|all| all.into_iter().map(Shard::from).collect()),
        })
    }
}
