use super::*;
use process::Guest;
use wasmill::{Batch, Cells, Column};

/// Two keys, a row of the first and a bad one of the second, a timer that is due and one that is not.
fn answer(answer: &str) -> Result<Output, Failure> {
    let settings = format!(r#"{{"answer":"{answer}","every":3,"amount":100}}"#);
    assert!(Component::configure(settings).is_ok());
    let ids = Column { cells: Cells::S64s(vec![1, 3]), missing: Vec::new() };
    Component::process(Turn {
        keys: ["a", "b"].into_iter().collect(),
        states: ["1", ""].into_iter().collect(),
        groups: vec![0, 1],
        batch: Batch { times: vec![10, 20], keys: None, values: None, fields: vec![ids] },
        timers: Timers { groups: vec![0, 1], times: vec![15, 16] },
        watermark: 15,
        ordered: true,
    })
}

/// Unless something is chosen rows, states and pending timers come back as they were.
#[test]
fn harmless_unless_chosen() {
    let honest = answer("honest").expect("an answer");
    assert_eq!((honest.states, honest.main), (["1", ""].into_iter().collect(), Rows::default()));
    assert_eq!(honest.timers, Timers { groups: vec![1], times: vec![16] });
}

/// What is chosen is what the host gets to see.
#[test]
fn answers_are_as_chosen() {
    let output = |name| answer(name).expect("an answer");
    let timers = |name| {
        let Timers { groups, times } = output(name).timers;
        (groups, times)
    };
    assert_eq!(output("fewer-states").states.len(), 1);
    assert_eq!(output("huge-states").states.bytes.len(), 200);
    assert_eq!(output("unknown-row").main.origins, Some(vec![4]));
    assert_eq!(output("timeless-timer").main, Rows { origins: Some(vec![2]), ..Rows::default() });
    assert_eq!(timers("past-timer"), (vec![0], vec![15]));
    assert_eq!(timers("far-timer"), (vec![0], vec![i64::MAX]));
    assert_eq!(timers("many-timers").1.len(), 200);
    assert_eq!(timers("unknown-timer"), (vec![2], vec![16]));
    assert_eq!(timers("descending-timers"), (vec![0, 0], vec![17, 16]));
    assert_eq!(timers("same-timer-twice"), (vec![0, 0], vec![16, 16]));
    assert_eq!(timers("short-timers"), (vec![0], vec![]));
    assert_eq!(output("unknown-side").sides[0].side, 1);
    assert_eq!(output("rejected-origin").rejects[0].row, 1);
    assert!(std::str::from_utf8(output("not-utf8-reason").rejects[0].reason.as_bytes()).is_err());
    assert!(matches!(answer("retry"), Err(Failure::Retry(_))));
    assert!(matches!(answer("fatal"), Err(Failure::Fatal(_))));
}
