use super::*;
use wasmill::{Cells, Column};

/// Rows 0 to 3 with the ids 1, 2, 3, 4; with `every` = 3 the third is bad.
fn answer(settings: &str) -> Result<Columns, Failure> {
    let ids = Column { cells: Cells::S64s(vec![1, 2, 3, 4]), missing: Vec::new() };
    let batch = Batch { times: vec![10, 20, 30, 40], keys: None, values: None, fields: vec![ids] };
    wasmill::settings::parse::<Hostile>(settings).expect("good settings").transform(batch)
}

/// Unless something is chosen, and a row is bad, nothing happens.
#[test]
fn harmless_unless_chosen() {
    assert_eq!(answer("{}"), Ok(Columns::default()));
    assert_eq!(answer(r#"{"do":"trap","answer":"fatal"}"#), Ok(Columns::default()), "no row is bad");
    assert_eq!(answer(r#"{"do":"slow","amount":10,"every":1}"#), Ok(Columns::default()));
    assert_eq!(answer(r#"{"do":"log-flood","amount":1,"every":1}"#), Ok(Columns::default()));
}

/// What is chosen is what the host gets to see.
#[test]
fn answers_are_as_chosen() {
    let answer = |name: &str| answer(&format!(r#"{{"answer":"{name}","every":3,"amount":1000}}"#));
    let columns = |name| answer(name).expect("an answer");
    assert_eq!(columns("unknown-row").main.origins, Some(vec![4]));
    assert_eq!(columns("descending-rows").main.origins, Some(vec![3, 2, 1, 0]));
    assert_eq!(columns("short-column").main.times.map(|times| times.len()), Some(3));
    assert_eq!(columns("falling-ends").main.values.map(|values| values.ends), Some(vec![3, 2, 1, 0]));
    assert_eq!(columns("unknown-side").sides[0].side, 1);
    assert_eq!(columns("same-side-twice").sides.len(), 2);
    assert_eq!(columns("rejected-origin").rejects[0].row, 2);
    assert_eq!(columns("rejected-twice").main.origins, Some(vec![0, 1, 3]));
    assert_eq!(columns("far-future").main.times, Some(vec![i64::MAX; 4]));
    assert_eq!(columns("many-rows").main.origins, Some(vec![2; 1000]));
    assert_eq!(columns("huge-value").main.values.map(|values| values.bytes.len()), Some(1000));
    assert!(std::str::from_utf8(columns("not-utf8-reason").rejects[0].reason.as_bytes()).is_err());
    assert!(columns("not-utf8-value").main.values.is_some_and(|values| std::str::from_utf8(values.get(0)).is_err()));
    assert!(matches!(answer("retry"), Err(Failure::Retry(_))));
    assert!(matches!(answer("fatal"), Err(Failure::Fatal(_))));
}

/// A refusal to be configured is an error, whatever its length.
#[test]
fn long_refusal() {
    let plugin: Hostile = wasmill::settings::parse(r#"{"do":"long-refusal","amount":100}"#).expect("good settings");
    assert_eq!(plugin.needs().map_err(|reason| reason.len()).err(), Some(100));
}
