//! What becomes of a row: its JSON on one line, and the id by which a server knows it again.

use crate::requests::{Entry, Made, Rows};
use crate::row_field;
use crate::row_id;
use bytes::Bytes;
use serde::de::IgnoredAny;
use std::sync::Arc;
use wasmill_stream::Batch;
use wasmill_stream::field::{Decoder, FieldSpec};
use xxhash_rust::xxh3::xxh3_64;

/// A row in a request.
#[derive(Debug)]
pub struct Payload {
    /// The same whenever the row comes again.
    pub id: String,
    /// JSON without line breaks.
    pub json: Bytes,
}

/// Makes payloads of rows.
pub struct Payloads {
    /// Of the field by which rows keep their order, as a text and as a number.
    decoder: Option<Decoder>,
    job: String,
}

impl Payloads {
    /// Of the rows of a job.
    pub fn new(order_by: Option<[FieldSpec; 2]>, job: String) -> Self {
        Self { decoder: order_by.map(|fields| Decoder::new(&fields)), job }
    }
}

impl Rows for Payloads {
    type Item = Payload;

    fn of(&mut self, batch: &Arc<Batch>) -> Vec<Made<Payload>> {
        let columns = self.decoder.as_mut().map(|decoder| decoder.decode(&batch.values));
        let payload = |(row, id): (usize, String)| {
            let json = one_line(batch.values.get(row)).ok_or("not JSON")?;
            let order = match &columns {
                Some(columns) => {
                    let text = row_field::text(columns, row)
                        .ok_or("the field of `order_by` is no text and no whole number")?;
                    Some(xxh3_64(text.as_bytes()))
                }
                None => batch.key(row).map(xxh3_64),
            };
            let bytes = json.len() + 1;
            Ok(Entry::new(Payload { id, json }, batch, row, bytes, order))
        };
        let ids = row_id::of(&self.job, batch).into_iter().enumerate();
        ids.map(|numbered| payload(numbered).map_err(|reason: &str| reason.to_owned()).into()).collect()
    }
}

/// JSON on one line. `None`: it is none.
fn one_line(value: &[u8]) -> Option<Bytes> {
    serde_json::from_slice::<IgnoredAny>(value).ok()?;
    let value = value.trim_ascii();
    if !value.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Some(Bytes::copy_from_slice(value));
    }
    // In valid JSON a raw line break stands between tokens only.
    Some(value.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect())
}
