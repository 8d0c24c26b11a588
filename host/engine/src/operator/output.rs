//! From what a plugin answers to the batches that go out: columns that it left out are those of the input, row by row, and
//! the fields that later steps want come along or are decoded.

use crate::graph::Port;
use crate::plan::PlanNode;
use std::sync::Arc;
use wasmill_stream::field::{Decoder, FieldSpec};
use wasmill_stream::plugin::{Needs, Rows};
use wasmill_stream::{Batch, Column};

/// Makes batches for the outputs of one node.
pub struct Outputs {
    outputs: Vec<Output>,
}

struct Output {
    port: Port,
    /// What its rows have as their step.
    name: Arc<str>,
    /// Decodes the values that the plugin writes.
    decoder: Decoder,
    /// Whether its rows keep the values that they had as input.
    keeps: bool,
}

impl Outputs {
    /// For a node whose plugin has these needs.
    pub fn new(node: &PlanNode, needs: &Needs) -> Self {
        let name = |port: Port| match port {
            Port::Side(side) => match needs.sides.get(side as usize) {
                Some(side) => format!("{}.{}", node.name, side.name).into(),
                None => node.name.clone(),
            },
            Port::Main | Port::Late | Port::Dead | Port::Raw => node.name.clone(),
        };
        let output = |(port, emits): &(Port, crate::plan::Emits)| Output {
            port: *port,
            name: name(*port),
            decoder: Decoder::new(&emits.fields),
            keeps: node.keeps(needs, *port),
        };
        Self { outputs: node.outputs.iter().map(output).collect() }
    }

    /// Rows that came from rows of `batch`. `columns` says which of its fields is which that the node wants. `None` if
    /// nobody reads that output.
    pub fn rows(
        &mut self,
        node: &PlanNode,
        port: Port,
        mut batch: Batch,
        columns: &[usize],
        mut rows: Rows,
    ) -> Option<Batch> {
        let emits = node.emits(port)?;
        let Output { name, decoder, keeps, .. } = self.outputs.iter_mut().find(|output| output.port == port)?;
        let keeps = *keeps;
        if !keeps || !emits.values {
            batch.values = Default::default();
        }
        let fields = std::mem::take(&mut batch.fields);
        if keeps {
            batch.fields = handed_on(node, &emits.fields, fields, columns);
        }
        let written = rows.values.take().filter(|_| !keeps);
        batch = rows.apply(batch);
        if let Some(values) = written {
            batch.fields = decoder.decode(&values);
            if emits.values {
                batch.values = values;
            }
        }
        batch.step = name.clone();
        Some(batch)
    }
}

/// The fields that later steps want of rows whose values stay as they are.
fn handed_on(node: &PlanNode, wanted: &[FieldSpec], fields: Vec<Column>, columns: &[usize]) -> Vec<Column> {
    let mut fields: Vec<Option<Column>> = fields.into_iter().map(Some).collect();
    let place = |field: &FieldSpec| {
        node.wanted.iter().position(|wanted| wanted == field).expect("a node wants what it hands on")
    };
    // Each field is wanted once, so nothing is taken twice.
    wanted.iter().filter_map(|field| fields[columns[place(field)]].take()).collect()
}

/// How many of `rows` input rows led to an output row.
pub fn emitted(rows: usize, main: &Rows, sides: &[(u32, Rows)]) -> usize {
    match (&main.origins, sides) {
        (None, []) => rows,
        (Some(origins), []) if origins.is_sorted() => {
            origins.chunk_by(|a, b| a == b).filter(|run| (run[0] as usize) < rows).count()
        }
        _ => {
            let mut led = vec![false; rows];
            for output in std::iter::once(main).chain(sides.iter().map(|(_, rows)| rows)) {
                match &output.origins {
                    None => return rows,
                    Some(origins) => origins.iter().for_each(|&origin| {
                        // Beyond the rows stand keys whose timers fired.
                        if let Some(led) = led.get_mut(origin as usize) {
                            *led = true;
                        }
                    }),
                }
            }
            led.into_iter().filter(|led| *led).count()
        }
    }
}
