use super::*;
use aggregate::{Guest, Pane};
use wasmill::{Cells, Column};

fn configure(answer: &str) {
    let settings = format!(r#"{{"answer":"{answer}","every":3,"amount":100}}"#);
    assert!(Component::configure(settings).is_ok_and(|needs| needs.fields == ["/id: s64"]));
}

fn accumulate(ids: &[i64]) -> Accumulated {
    let fields = vec![Column { cells: Cells::S64s(ids.to_vec()), missing: Vec::new() }];
    let batch = Batch { times: vec![0; ids.len()], keys: None, values: None, fields };
    let groups = (0..ids.len() as u32).map(|row| row % 2).collect();
    let accumulators = [&5_u64.to_le_bytes()[..], &[]].into_iter().collect();
    Component::accumulate(accumulators, groups, batch).expect("an answer")
}

fn finish() -> Result<Finished, Failure> {
    Component::finish(Fired {
        starts: vec![0, 0],
        ends: vec![9, 9],
        panes: vec![Pane::OnTime; 2],
        keys: ["a", "b"].into_iter().collect(),
        accumulators: column(&[7, 8]),
    })
}

/// Unless something is chosen, and a row is bad, rows are counted and counts returned.
#[test]
fn harmless_unless_chosen() {
    configure("honest");
    assert_eq!(accumulate(&[1, 2, 3]).accumulators, column(&[7, 1]));
    assert_eq!(Component::merge(column(&[1, 2, 3]), vec![1, 0, 1], 2), Ok(column(&[2, 4])));
    let honest = finish().expect("an answer");
    let counts = [r#"{"count":7,"key":"a","start":0}"#, r#"{"count":8,"key":"b","start":0}"#];
    assert_eq!((honest.origins, honest.values), (Some(vec![0, 1]), counts.into_iter().collect()));
    configure("fewer-accumulators");
    assert_eq!(accumulate(&[1, 2]).accumulators, column(&[6, 1]));
}

/// What is chosen is what the host gets to see.
#[test]
fn answers_are_as_chosen() {
    configure("fewer-accumulators");
    assert_eq!(accumulate(&[3]).accumulators.len(), 1);
    configure("huge-accumulators");
    assert_eq!(accumulate(&[3]).accumulators.bytes.len(), 200);
    configure("falling-ends");
    assert_eq!(accumulate(&[3]).accumulators.ends, [16, 8]);
    configure("unknown-reject");
    assert_eq!(accumulate(&[3]).rejects[0].row, 1);
    configure("more-merged");
    assert_eq!(Component::merge(column(&[1]), vec![0], 1).map(|merged| merged.len()), Ok(2));
    let finish_as = |answer| {
        configure(answer);
        finish()
    };
    assert_eq!(finish_as("unknown-result").expect("an answer").origins, Some(vec![2, 2]));
    assert_eq!(finish_as("descending-results").expect("an answer").origins, Some(vec![1, 0]));
    assert_eq!(finish_as("many-results").expect("an answer").values.len(), 200);
    assert!(finish_as("retry-in-finish").is_err());
    let refused = finish_as("not-utf8-reason").expect("an answer").rejects;
    assert!(refused.len() == 2 && std::str::from_utf8(refused[0].reason.as_bytes()).is_err());
}
