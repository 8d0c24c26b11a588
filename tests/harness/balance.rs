//! No row gets lost: the sum that must hold in the ledger of every job that has ended by itself.

use wasmill_engine::{Input, Port};
use wasmill_stream::ledger::{Counts, Ledger};

/// The edges of a job, kept aside while the job runs: for each node its name and inputs.
pub type Edges = Vec<(String, Vec<Input>)>;

/// Asserts for every node that each row it read met its fate, and that it read what its inputs gave.
pub fn assert_balanced(edges: &Edges, ledger: &Ledger) {
    let counts: Vec<Counts> = ledger.steps.iter().map(|step| step.counts()).collect();
    assert_eq!(counts.len(), edges.len(), "one ledger per node");
    for ((name, inputs), counts_here) in edges.iter().zip(&counts) {
        assert_eq!(counts_here.in_flight(), 0, "{name}: {counts_here}");
        let given: u64 = inputs.iter().map(|input| output(&counts[input.node], input.port)).sum();
        assert!(inputs.is_empty() || counts_here.read == given, "{name}: was given {given} rows: {counts_here}");
    }
}

fn output(counts: &Counts, port: Port) -> u64 {
    match port {
        Port::Main => counts.written,
        Port::Late => counts.late,
    }
}
