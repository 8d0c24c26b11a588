use super::*;
use crate::checkpoint::Changes;
use crate::key;
use crate::plugin::Rows;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Remembers its rows' times as text, sets a timer 10 behind each row, and emits what it remembers when a timer fires.
/// Rows at a time that 7 divides make it fail.
#[derive(Default)]
struct Remember {
    fail: bool,
}

impl Process for Remember {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        if self.fail {
            return Err(Error::guest(GuestFault::Trap, "trap"));
        }
        let rows = turn.batch.times.len() as u32;
        let (mut states, mut timers) = (Vec::new(), Timers::default());
        let (mut origins, mut times, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for group in 0..turn.keys.len() as u32 {
            let mut state = String::from_utf8(turn.states.get(group as usize).to_vec()).expect("text");
            let mut pending: Vec<i64> =
                turn.timers.iter().filter(|(of, _)| *of == group).map(|(_, time)| time).collect();
            let fire = |state: &mut String, pending: &mut Vec<i64>, until: i64, out: &mut Vec<(i64, String)>| {
                pending.sort_unstable();
                pending.dedup();
                while let Some(&first) = pending.first().filter(|first| **first <= until) {
                    pending.remove(0);
                    out.push((first, std::mem::take(state)));
                }
            };
            let mut out = Vec::new();
            for (&time, _) in turn.batch.times.iter().zip(turn.groups).filter(|(_, of)| **of == group) {
                if turn.ordered {
                    fire(&mut state, &mut pending, time, &mut out);
                }
                state.push_str(&format!("{time} "));
                pending.push(time + 10);
            }
            fire(&mut state, &mut pending, turn.watermark, &mut out);
            for (time, value) in out {
                origins.push(rows + group);
                times.push(time);
                values.push(value);
            }
            states.push(state);
            pending.into_iter().for_each(|time| timers.push(group, time));
        }
        let main =
            Rows { origins: Some(origins), times: Some(times), keys: None, values: Some(values.iter().collect()) };
        Ok(Processed { states: states.iter().collect(), timers, main, ..Processed::default() })
    }
}

/// What the process emits: key, time, value.
fn emitted(turned: &Turned, rows: usize) -> Vec<(String, i64, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let main = &turned.answer.main;
    let (origins, times) = (main.origins.as_ref().expect("given"), main.times.as_ref().expect("given"));
    let key = |origin: u32| text(turned.keys.get(origin as usize - rows));
    let values = main.values.as_ref().expect("given").iter().map(text);
    origins.iter().zip(times).zip(values).map(|((&origin, &time), value)| (key(origin), time, value)).collect()
}

/// One event at a time, over everything at once: the answer that any cutting into calls must give.
fn brute_force(rows: &[(i64, u8)]) -> Vec<(String, i64, String)> {
    let mut by_key: BTreeMap<u8, Vec<i64>> = BTreeMap::new();
    rows.iter().for_each(|(time, key)| by_key.entry(*key).or_default().push(*time));
    let mut all = Vec::new();
    for (key, mut times) in by_key {
        times.sort_unstable();
        let mut timers: Vec<i64> = times.iter().map(|time| time + 10).collect();
        timers.dedup();
        let mut from = 0;
        for timer in timers {
            // A timer fires before a row of its own time.
            let upto = times.partition_point(|time| *time < timer);
            let value: String = times[from..upto].iter().map(|time| format!("{time} ")).collect();
            from = upto;
            all.push((key.to_string(), timer, value));
        }
    }
    all.sort();
    all
}

proptest! {
    /// Ordered rows cut into any calls, with the watermark moving in any steps → every timer fires once, at its time, with
    /// the rows before it; at the end nothing is left.
    #[test]
    fn any_cutting_gives_the_same(
        rows in proptest::collection::vec((0i64..100, 0u8..4), 0..60),
        cuts in proptest::collection::vec(1i64..40, 1..8),
        advance: bool,
        crash: bool,
    ) {
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        let (mut states, mut logic, mut found) = (States::new(&Needs::default()), Remember::default(), Vec::new());
        let mut until = 0;
        let mut rest = sorted.as_slice();
        let mut cuts = cuts.iter().cycle();
        let mut log = Changes::default();
        states.track();
        while !rest.is_empty() {
            until += cuts.next().expect("endless");
            let (part, later) = rest.split_at(rest.partition_point(|(time, _)| *time < until));
            rest = later;
            if let Some((last, _)) = part.last() {
                let keys: Binary = part.iter().map(|(_, key)| key.to_string()).collect();
                let times: Vec<i64> = part.iter().map(|(time, _)| *time).collect();
                let view = View { times: &times, keys: None, values: None, fields: Vec::new() };
                let rows = KeyedRows { keys: &keys, hashes: &key::hashes(&keys), view, ordered: true };
                let turned = states.process(&mut logic, &rows, Some(*last)).expect("logic that does not fail");
                found.extend(emitted(&turned, part.len()));
            }
            while advance && let Some(turned) = states.advance(&mut logic, until).expect("logic that does not fail") {
                found.extend(emitted(&turned, 0));
            }
            if crash {
                states.changes(&mut log);
                let watermark = states.watermark();
                states = States::new(&Needs::default());
                states.resume(watermark);
                log.iter().for_each(|change| states.load(&change).expect("it was noted"));
                states.track();
            }
        }
        while let Some(turned) = states.advance(&mut logic, i64::MAX).expect("logic that does not fail") {
            found.extend(emitted(&turned, 0));
        }
        found.sort();
        prop_assert_eq!(found, brute_force(&rows));
        prop_assert!(states.is_empty());
    }
}

fn process(states: &mut States, logic: &mut Remember, times: &[i64]) -> Result<Turned> {
    let keys: Binary = times.iter().map(|_| "a").collect();
    let view = View { times, keys: None, values: None, fields: Vec::new() };
    states.process(logic, &KeyedRows { keys: &keys, hashes: &key::hashes(&keys), view, ordered: false }, None)
}

/// A call that fails, with rows or with timers → nothing has changed, and the next call goes on as if it had not been.
#[test]
fn failures_change_nothing() {
    let (mut states, mut logic) = (States::new(&Needs::default()), Remember { fail: true });
    process(&mut states, &mut logic, &[1]).expect_err("it fails");
    assert!(states.is_empty());
    logic.fail = false;
    process(&mut states, &mut logic, &[1, 2]).expect("it works");
    logic.fail = true;
    states.advance(&mut logic, 11).expect_err("it fails");
    process(&mut states, &mut logic, &[3]).expect_err("it fails");
    assert_eq!(states.watermark(), i64::MIN);
    logic.fail = false;
    let turned = states.advance(&mut logic, 11).expect("it works").expect("a timer is due");
    assert_eq!(emitted(&turned, 0), [("a".to_owned(), 11, "1 2 ".to_owned())]);
    assert_eq!((turned.fired, states.len()), (1, 1));
    assert!(states.advance(&mut logic, 11).expect("it works").is_none());
    assert_eq!(states.watermark(), 11);
}

/// Logic whose answer is given by the test.
struct Scripted(Processed);

impl Process for Scripted {
    fn process(&mut self, _: &Turn<'_>) -> Result<Processed> {
        Ok(self.0.clone())
    }
}

/// Too many states, and timers that are out of order, of no key or in the past → contract errors that name them.
#[test]
fn broken_answers() {
    let timers = |timers: &[(u32, i64)]| {
        let mut all = Timers::default();
        timers.iter().for_each(|(group, time)| all.push(*group, *time));
        Processed { states: ["x"].into_iter().collect(), timers: all, ..Processed::default() }
    };
    let cases = [
        (Processed::default(), "0 states for 1 keys"),
        (timers(&[(0, 30), (0, 20)]), "they must ascend"),
        (timers(&[(0, 20), (0, 20)]), "they must ascend"),
        (timers(&[(1, 20)]), "key number 1, but was given 1 keys"),
        (timers(&[(0, 5)]), "a timer at 5, but time has come to 5"),
    ];
    for (answer, expected) in cases {
        let mut states = States::new(&Needs::default());
        assert!(states.advance(&mut Scripted(Processed::default()), 5).expect("nothing is due").is_none());
        let keys: Binary = ["a"].into_iter().collect();
        let view = View { times: &[7], keys: None, values: None, fields: Vec::new() };
        let rows = KeyedRows { keys: &keys, hashes: &key::hashes(&keys), view, ordered: false };
        let error = states.process(&mut Scripted(answer), &rows, None).expect_err(expected);
        assert_eq!(error.kind(), crate::ErrorKind::Guest(GuestFault::Contract));
        assert!(error.to_string().contains(expected), "{error}");
        assert!(states.is_empty());
    }
}

/// Logic that wants a field and values → a call that is only about timers has both, without rows.
#[test]
fn timers_come_with_empty_columns() {
    struct Wants;
    impl Process for Wants {
        fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
            assert_eq!((turn.batch.fields.len(), turn.batch.values.map(Binary::len)), (1, Some(turn.groups.len())));
            assert_eq!(turn.batch.fields[0].len(), turn.groups.len());
            let mut timers = Timers::default();
            turn.batch.times.iter().for_each(|time| timers.push(0, time + 1));
            Ok(Processed { states: ["s"].into_iter().collect(), timers, ..Processed::default() })
        }
    }
    let fields = vec!["/a: f64".parse().expect("a field")];
    let needs = Needs { fields, reads_values: true, ..Needs::default() };
    let mut states = States::new(&needs);
    let (keys, values): (Binary, Binary) = (["k"].into_iter().collect(), ["{\"a\":1}"].into_iter().collect());
    let columns = Decoder::new(&needs.fields).decode(&values);
    let view = View { times: &[1], keys: None, values: Some(&values), fields: columns.iter().collect() };
    let rows = KeyedRows { keys: &keys, hashes: &key::hashes(&keys), view, ordered: false };
    states.process(&mut Wants, &rows, None).expect("it sees what it wants");
    assert_eq!(states.advance(&mut Wants, 5).expect("it sees what it wants").map(|turned| turned.fired), Some(1));
}

/// States that are rewritten, with timers of which one was dropped since and one was never there → those that are pending stay,
/// and no others.
#[test]
fn rewriting_makes_no_timers() {
    let mut states = States::new(&Needs::default());
    process(&mut states, &mut Remember::default(), &[5, 8]).expect("it works");
    let first = [i64::MIN, 15, 16];
    let rewrite = &mut |old: &Binary| Ok(Rewritten { states: old.clone(), timers: vec![Some(first.to_vec())] });
    let migrated = states.migrated(rewrite).expect("it works");
    states.adopt(migrated);
    let fired = states.advance(&mut Remember::default(), 30).expect("it works").expect("a timer is due");
    let times: Vec<i64> = emitted(&fired, 0).into_iter().map(|(_, time, _)| time).collect();
    assert_eq!(times, [15], "of 15 and 18");
}
