//! Reads and writes every value, unchanged and without a copy: what it costs is what the boundary costs.

use wasmill::{Batch, BatchTransform, Columns, Needs};

#[derive(serde::Deserialize)]
struct Identity {}

impl BatchTransform for Identity {
    fn needs(&self) -> Needs {
        Needs { fields: Vec::new(), reads_values: true, writes_values: true }
    }

    fn transform(&self, batch: Batch) -> Result<Columns, String> {
        Ok(Columns { values: batch.values, ..Columns::default() })
    }
}

wasmill::transform!(batch Identity);
