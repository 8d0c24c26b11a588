//! What becomes of a row: partition key, explicit hash key, and the bytes, with an id if readers are to know it again.

use super::settings::RowSettings;
use crate::json_object::with_member;
use crate::kinesis::producer::{Outgoing, RECORD_BYTES, is_key};
use crate::{row_field, row_id};
use bytes::Bytes;
use std::sync::Arc;
use wasmill_stream::Batch;
use wasmill_stream::checkpoint::Digest;
use wasmill_stream::field::Decoder;

/// Makes records of rows.
pub struct Rows {
    settings: RowSettings,
    job: String,
    /// Of the partition key and then of the hash key, each as a text and as a number.
    decoder: Option<Decoder>,
}

impl Rows {
    /// For the rows of a sink of this job.
    pub fn new(settings: RowSettings, job: &str) -> Self {
        let fields: Vec<_> = settings.partition_key.iter().chain(&settings.hash_key).flatten().cloned().collect();
        let decoder = (!fields.is_empty()).then(|| Decoder::new(&fields));
        Self { settings, job: job.to_owned(), decoder }
    }

    /// The records of a batch, or why a row is none.
    pub fn of(&mut self, batch: &Batch) -> Vec<Result<Outgoing, &'static str>> {
        let columns = self.decoder.as_mut().map(|decoder| decoder.decode(&batch.values)).unwrap_or_default();
        let mut columns = columns.chunks_exact(2);
        let keys = self.settings.partition_key.as_ref().and_then(|_| columns.next());
        let hashes = self.settings.hash_key.as_ref().and_then(|_| columns.next());
        let needs_id = self.settings.dedup.is_some() || keys.is_none() && batch.keys.is_none();
        let ids = needs_id.then(|| row_id::of(&self.job, batch));
        let id = |row: usize| ids.as_ref().and_then(|ids| ids.get(row)).map_or("", String::as_str);
        (0..batch.len())
            .map(|row| {
                let key = match (keys, batch.key(row)) {
                    (Some(columns), _) => {
                        let text =
                            row_field::text(columns, row).ok_or("the partition key is no text and no whole number")?;
                        partition_key(text.as_bytes())
                    }
                    (None, Some(key)) => partition_key(key),
                    (None, None) => partition_key(id(row).as_bytes()),
                };
                let hash = hashes.map(|columns| row_field::text(columns, row).and_then(|text| text.parse().ok()));
                let hash = match hash {
                    Some(None) => return Err("the explicit hash key is no whole number of 128 bits"),
                    Some(hash) => hash,
                    None => None,
                };
                let data = match &self.settings.dedup {
                    Some(member) => with_member(batch.values.get(row), member, id(row)).ok_or("not a JSON object")?,
                    None => Bytes::copy_from_slice(batch.values.get(row)),
                };
                let record = Outgoing { key, hash, data, token: 0 };
                if record.size() > RECORD_BYTES {
                    return Err("larger than the 1 MiB that Kinesis takes");
                }
                Ok(record)
            })
            .collect()
    }
}

/// A partition key as it is, or its hash where the service takes no such key.
fn partition_key(bytes: &[u8]) -> Arc<str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_key(text) => text.into(),
        _ => Digest::of(bytes).to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that the service does not take become others, the same each time, and different ones for different keys.
    #[test]
    fn keys_fit() {
        let long = "x".repeat(257);
        assert_eq!(&*partition_key(b"taxi 7"), "taxi 7");
        for bad in [&b""[..], b"\xff", long.as_bytes()] {
            let key = partition_key(bad);
            assert!(is_key(&key) && key == partition_key(bad), "{key}");
        }
        assert_ne!(partition_key(b"\xff"), partition_key(b"\xfe"));
    }
}
