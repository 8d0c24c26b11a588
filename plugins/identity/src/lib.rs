//! Reads and writes every value, unchanged and without a copy: what it costs is what the boundary costs.

use wasmill::{Batch, BatchTransform, Columns, Failure, Needs, Rows, Settings};

#[derive(Settings)]
struct Identity {}

impl BatchTransform for Identity {
    fn needs(&self) -> Result<Needs, String> {
        Ok(Needs { reads_values: true, writes_values: true, ..Needs::default() })
    }

    fn transform(&self, batch: Batch) -> Result<Columns, Failure> {
        Ok(Rows { values: batch.values, ..Rows::default() }.into())
    }
}

wasmill::transform!(batch Identity);

#[cfg(test)]
mod tests {
    use super::*;

    /// Values come back as they are, in the same buffer.
    #[test]
    fn values_are_moved() {
        let values: wasmill::Binary = ["a", "", "bc"].into_iter().collect();
        let (copy, buffer) = (values.clone(), values.bytes.as_ptr());
        let batch = Batch { times: vec![1, 2, 3], keys: None, values: Some(values), fields: Vec::new() };
        let columns = Identity {}.transform(batch).expect("nothing can fail").main;
        let moved = columns.values.expect("values are written");
        assert_eq!((moved.bytes.as_ptr(), moved), (buffer, copy));
        assert_eq!((columns.origins, columns.times, columns.keys), (None, None, None));
    }
}
