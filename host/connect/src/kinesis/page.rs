//! The records of one read, and what the server says beside them.

use super::stream::Shard;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::{Binary, Error, ErrorKind, Result, Sequence};

/// The records of one read.
pub struct Page {
    /// Their bytes.
    pub values: Binary,
    /// Their sequence numbers.
    pub sequences: Vec<Sequence>,
    /// The iterator to go on with; `None` at the end of a closed shard.
    pub next: Option<String>,
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
        for record in &records {
            let number = &record.sequence_number;
            let sequence = Sequence::parse(number)
                .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("\"{number}\" is no sequence number")))?;
            values.push(record.data.as_ref());
            sequences.push(sequence);
        }
        let child =
            |child: aws_sdk_kinesis::types::ChildShard| Shard { id: child.shard_id, parents: child.parent_shards };
        Ok(Self {
            values: values.finish(),
            sequences,
            next: answer.next_shard_iterator,
            at_tip: answer.millis_behind_latest == Some(0),
            children: answer.child_shards.map(|all| all.into_iter().map(child).collect()),
        })
    }

    /// Drops the first record if it is this one. Whether it was.
    pub fn drop_first(&mut self, known: Sequence) -> bool {
        if self.sequences.first() != Some(&known) {
            return false;
        }
        self.sequences.remove(0);
        self.values = self.values.select(&(1..self.values.len() as u32).collect::<Vec<_>>());
        true
    }
}
