//! Between the rows of a case and the batches of the host.

use super::row::Row;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmill_stream::batch::{Batch, Lineage};
use wasmill_stream::field::{self, Decoder, FieldSpec};
use wasmill_stream::plugin::Rows;
use wasmill_stream::{Binary, Positions, SplitId};

/// Makes batches of rows as a source does: decoded, with positions that count on from batch to batch.
pub struct Reader {
    fields: Vec<FieldSpec>,
    decoder: Decoder,
    split: SplitId,
    next: u64,
}

impl Reader {
    /// A reader that decodes these fields.
    pub fn new(fields: &[FieldSpec]) -> Self {
        Self { fields: fields.to_vec(), decoder: Decoder::new(fields), split: SplitId::new("case", 0), next: 1 }
    }

    /// A batch of rows. It has keys if one of the rows has: then those without have an empty one.
    pub fn batch(&mut self, rows: &[&Row]) -> Batch {
        let values: Binary = rows.iter().map(|row| row.value.as_deref().unwrap_or_default()).collect();
        let is_keyed = rows.iter().any(|row| row.key.is_some());
        let positions = Arc::new(Positions::Consecutive { first: self.next });
        self.next += rows.len() as u64;
        Batch {
            step: "case".into(),
            times: rows.iter().map(|row| row.time.unwrap_or_default()).collect(),
            keys: is_keyed.then(|| rows.iter().map(|row| row.key.as_deref().unwrap_or_default()).collect()),
            fields: self.decoder.decode(&values),
            values,
            lineage: Some(Lineage { split: self.split.clone(), positions, records: None, bytes: None }),
            firings: None,
            origins: None,
        }
    }

    /// The rows of a batch that the step may not see, with the reason: they lack a field that it cannot do without.
    pub fn undecodable(&self, batch: &Batch) -> BTreeMap<u32, String> {
        field::undecodable(self.fields.iter().zip(&batch.fields))
    }
}

/// Row `row` of a batch.
pub fn row_of(batch: &Batch, row: usize) -> Row {
    let value = (row < batch.values.len()).then(|| batch.values.get(row).to_vec());
    Row { time: batch.times.get(row).copied(), key: batch.key(row).map(<[u8]>::to_vec), value }
}

/// The output rows of a call: what they leave out is as in the row that they came from. Origins behind the rows of the
/// batch are timers of `keys`.
pub fn emitted(rows: &Rows, batch: &Batch, keys: Option<&Binary>) -> Vec<Row> {
    let all = || (0..batch.len() as u32).collect();
    let origins: Vec<u32> = rows.origins.clone().unwrap_or_else(all);
    let cell = |column: &Option<Binary>, at: usize| column.as_ref().map(|column| column.get(at).to_vec());
    let emitted = origins.iter().enumerate().map(|(at, &origin)| {
        let origin = origin as usize;
        let from = match origin.checked_sub(batch.len()) {
            None => row_of(batch, origin),
            Some(timer) => Row { key: keys.map(|keys| keys.get(timer).to_vec()), ..Row::default() },
        };
        Row {
            time: rows.times.as_ref().map(|times| times[at]).or(from.time),
            key: cell(&rows.keys, at).or(from.key),
            value: cell(&rows.values, at).or(from.value),
        }
    });
    emitted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time: i64, key: Option<&str>, value: &str) -> Row {
        let bytes = |text: &str| text.as_bytes().to_vec();
        Row { time: Some(time), key: key.map(bytes), value: Some(bytes(value)) }
    }

    /// Rows that lack a field stay outside, each once and with the first reason; optional fields may be missing, but
    /// not wrong.
    #[test]
    fn undecodable_rows() {
        let fields = ["/a: s64", "/b: string?"].map(|field| field.parse().expect(field));
        let mut reader = Reader::new(&fields);
        let rows = ["{\"a\": 1}", "{\"b\": 2}", "{\"a\": 1, \"b\": 2}", "x"].map(|value| row(0, None, value));
        let batch = reader.batch(&rows.iter().collect::<Vec<_>>());
        let refused = reader.undecodable(&batch);
        let expected = [
            (1, "field `/a: s64` is missing"),
            (2, "field `/b: string?` has the wrong type"),
            (3, "the record is not a whole JSON object"),
        ];
        assert_eq!(refused, expected.map(|(row, reason)| (row, reason.to_owned())).into());
        assert_eq!((batch.keys, reader.next), (None, 5));
    }

    /// Output rows take over what they leave out; those of timers have the key of the timer.
    #[test]
    fn outputs_are_filled_in() {
        let mut reader = Reader::new(&[]);
        let given = [row(1, Some("a"), "x"), row(2, None, "y")];
        let batch = reader.batch(&given.iter().collect::<Vec<_>>());
        assert_eq!(emitted(&Rows::default(), &batch, None), [given[0].clone(), row(2, Some(""), "y")]);
        let keys: Binary = ["k", "l"].into_iter().collect();
        let rows = Rows {
            origins: Some(vec![1, 3]),
            times: Some(vec![7, 8]),
            keys: None,
            values: Some(["v", "w"].into_iter().collect()),
        };
        assert_eq!(emitted(&rows, &batch, Some(&keys)), [row(7, Some(""), "v"), row(8, Some("l"), "w")]);
    }
}
