mod model;
mod script;

use super::*;
use crate::{Reject, Rows, SideRows};
use proptest::prelude::*;
use script::{Action, Op, Played, Script, play};

const KEYS: u8 = 3;

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        3 => (-9_i64..9).prop_map(Action::Add),
        3 => (-6_i64..25).prop_map(Action::Set),
        1 => (-6_i64..25).prop_map(Action::Delete),
        1 => Just(Action::Forget),
        2 => Just(Action::Emit),
        1 => Just(Action::EmitAside),
    ];
    prop::collection::vec(action, 0..5)
}

fn op() -> impl Strategy<Value = Op> {
    let refuse = prop::bool::weighted(0.1);
    (0..KEYS, 0_i64..60, refuse, actions()).prop_map(|(key, time, refuse, actions)| Op { key, time, refuse, actions })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..ProptestConfig::default() })]

    /// Any rows, in order or not, with any timers pending → what a model does that looks at one event at a time.
    #[test]
    fn plays_as_the_model_does(
        mut ops in ops(),
        timers in prop::collection::btree_set((0..KEYS, -5_i64..70), 0..6),
        watermark in -5_i64..70,
        ordered: bool,
    ) {
        if ordered {
            ops.sort_by_key(|op| op.time);
        }
        let before = Played::with_timers(timers.into_iter().collect());
        let after = play(&before, &ops, watermark, ordered);
        let expected = model::play(&before, &ops, watermark, ordered);
        prop_assert!(after.timers.iter().all(|&(_, at)| at > watermark));
        prop_assert_eq!(after.sorted(), expected.sorted());
        prop_assert_eq!((after.states, after.timers, after.refused), (expected.states, expected.timers, expected.refused));
    }

    /// Ordered rows in one turn or cut into several, each with a watermark that its followers keep → the same.
    #[test]
    fn turns_may_be_cut(mut ops in ops(), cuts in prop::collection::vec((0_usize..25, -9_i64..1), 0..6), last in 0_i64..90) {
        ops.sort_by_key(|op| op.time);
        let whole = play(&Played::default(), &ops, last, true);
        let mut parts = Played::default();
        let mut cuts: Vec<_> = cuts.into_iter().filter(|&(at, _)| at < ops.len()).collect();
        cuts.sort_unstable();
        let (mut start, mut watermark) = (0, i64::MIN);
        for (at, behind) in cuts {
            watermark = watermark.max((ops[at].time + behind).min(last));
            parts = parts.then(play(&parts, &ops[start..at], watermark, true));
            start = at;
        }
        parts = parts.then(play(&parts, &ops[start..], last, true));
        prop_assert_eq!(parts.sorted(), whole.sorted());
        prop_assert_eq!((parts.states, parts.timers), (whole.states, whole.timers));
    }
}

fn row(key: u8, time: i64, actions: &[Action]) -> Op {
    Op { key, time, refuse: false, actions: actions.to_vec() }
}

/// Rows and timers of one call → origins beyond the rows name the key of a timer, with its time and value.
#[test]
fn origins_of_timers() {
    let ops = [row(1, 10, &[Action::Add(7), Action::Set(5), Action::Emit]), row(0, 12, &[Action::EmitAside])];
    let output = OfRows(Script {}).process(&script::turn(&Played::default(), &ops, 20, true)).expect("a good turn");
    let column = |items: &[&str]| Some(items.iter().collect());
    let main = Rows {
        origins: Some(vec![0, 2 + 1]),
        times: Some(vec![10, 15]),
        keys: None,
        values: column(&[r#""10: 7""#, r#""15: 7""#]),
    };
    let aside = Rows { origins: Some(vec![1]), times: None, keys: None, values: column(&[r#""12: 0""#]) };
    assert_eq!((output.main, output.sides), (main, vec![SideRows { side: 0, rows: aside }]));
    assert_eq!(output.timers, wire::Timers { groups: Vec::new(), times: Vec::new() });
}

/// A refused row changes neither state nor timers; in order, what was due before it fires all the same.
#[test]
fn refused_rows_change_nothing() {
    let refused = Op { refuse: true, ..row(0, 30, &[Action::Add(1), Action::Set(9), Action::Emit]) };
    let ops = [row(0, 10, &[Action::Set(5)]), refused];
    let after = play(&Played::default(), &ops, 0, true);
    assert_eq!(after.refused, [Reject { row: 1, reason: "refused".into() }]);
    let fired: Vec<_> = after.seen.iter().map(|seen| (seen.output, seen.value.as_str())).collect();
    assert_eq!((fired, after.timers), (vec![("main", r#""15: 0""#)], Vec::new()));
    assert_eq!(after.states[0], Some(script::State { count: 1, sum: 0 }));
}

/// What a timer emits without a value, and a state without bytes → the job stops with a reason.
#[test]
fn impossible_answers_are_fatal() {
    let turn = script::turn(&Played::with_timers(vec![(0, 5)]), &[], 9, true);
    let fatal = |answer: Result<wire::Output, Failure>, words: &str| {
        assert!(matches!(&answer, Err(Failure::Fatal(reason)) if reason.contains(words)), "{answer:?}");
    };
    fatal(OfRows(script::PassOn {}).process(&turn), "needs a value");
    fatal(OfRows(script::Empty {}).process(&turn), "no bytes");
}

/// A process that fails → the call does, whatever else happened in it.
#[test]
fn failures_end_the_call() {
    let turn = script::turn(&Played::default(), &[row(0, 1, &[Action::Emit]), row(0, 2, &[Action::Fail])], 9, true);
    assert_eq!(OfRows(Script {}).process(&turn), Err(Failure::retry("at 2")));
}

/// States of an older version are read one by one, and no state stays none; without `migrate` that is fatal.
#[test]
fn old_states_are_migrated() {
    let old: Binary = [&[7][..], &[]].into_iter().collect();
    let mut new = Binary::default();
    script::State { count: 0, sum: 7 }.encode(&mut new.bytes).expect("plain numbers");
    new.close();
    new.push(b"");
    assert_eq!(OfRows(Script {}).migrate(0, &old), Ok(new));
    assert!(matches!(OfRows(script::Empty {}).migrate(0, &old), Err(Failure::Fatal(_))));
}
