//! Rows that cross and come back, settings, and answers that break the contract.

use crate::guest::{ANSWER, FREE, Guest, SILENT, UNCHANGED};
use serde_json::json;
use wasmill_plugin::{Host, Limits};
use wasmill_stream::plugin::{Fired, Rows, Timers, Turn, View};
use wasmill_stream::{Binary, ErrorKind, Firing, GuestFault, Pane};

fn host() -> Host {
    Host::new().expect("the engine starts")
}

/// Values that a guest returns as it got them are the same afterwards, packed or scattered.
#[test]
fn values_cross_unchanged() {
    // Stores the five words of `values` (locals 7 to 11) into the answer.
    let mut body = String::new();
    for word in 0..5 {
        let at = ANSWER + 4 + 44 + word * 4;
        body.push_str(&format!("(i32.store (i32.const {at}) (local.get {}))", 7 + word));
    }
    body.push_str(&format!("(i32.const {ANSWER})"));
    let host = host();
    let component = Guest::transform(&body).with_values().load(&host);
    let plugin = host.transform(&component, "copy", "{}", Limits::default()).expect("a plugin");
    assert!(plugin.needs().reads_values && plugin.needs().writes_values);
    let mut instance = plugin.instantiate().expect("an instance");
    let whole: Binary = ["one", "", "three", "four"].into_iter().collect();
    for values in [whole.clone(), whole.select(&[3, 0, 0, 1])] {
        let view = View { times: &[1, 2, 3, 4], keys: None, values: Some(&values), fields: Vec::new() };
        let rows = instance.transform(&view).expect("identity");
        assert_eq!(rows.main, Rows { values: Some(values), ..Rows::default() });
        assert_eq!((rows.sides, rows.rejects), (Vec::new(), Vec::new()));
    }
}

/// An aggregator's accumulators come back from `accumulate` and, as results, from `finish`.
#[test]
fn accumulators_cross_unchanged() {
    let host = host();
    let component = Guest::keeping_accumulators().load(&host);
    let plugin = host.aggregate(&component, "count", "{}", Limits::default()).expect("a plugin");
    let mut instance = plugin.instantiate().expect("an instance");
    let accumulators: Binary = ["", "abc"].into_iter().collect();
    let view = View { times: &[1, 2, 3], keys: None, values: None, fields: Vec::new() };
    let answer = instance.accumulate(&accumulators, &[0, 1, 1], &view).expect("accumulated");
    assert_eq!(answer.accumulators, accumulators);
    let windows = [Firing { start: 0, end: 10, pane: Pane::OnTime }, Firing { start: 0, end: 10, pane: Pane::Late }];
    let fired = Fired { windows: &windows, keys: &accumulators, accumulators: &accumulators };
    assert_eq!(instance.finish(&fired).expect("finished").values, accumulators);
}

/// A process gets its turn and gives back states, timers, rows of inputs and of fired timers, and side outputs.
#[test]
fn a_turn_of_a_process() {
    let mut rest = SILENT;
    // A timer of key 1 at 20.
    rest[0..4].copy_from_slice(&[FREE, 1, FREE + 8, 1]);
    // The main output: row 0, with its own time.
    rest[4..10].copy_from_slice(&[1, FREE + 16, 1, 1, FREE + 24, 1]);
    // Side output 0 has one row that a timer of key 1 gave.
    rest[20..22].copy_from_slice(&[FREE + 64, 1]);
    let mut side = [0; 17];
    side[1..7].copy_from_slice(&[1, FREE + 32, 1, 1, FREE + 24, 1]);
    side[12..17].copy_from_slice(&[1, FREE + 40, 1, FREE + 200, 5]);
    let host = host();
    let component = Guest::keeping_states(rest)
        .with_sides(&[FREE + 200, 5, 1])
        .words(FREE, &[1, 0, 20, 0, 0, 0, 15, 0, 2 + 1, 0, 5])
        .words(FREE + 64, &side)
        .text(FREE + 200, "alert")
        .load(&host);
    let plugin = host.process(&component, "watch", "{}", Limits::default()).expect("a plugin");
    assert_eq!(plugin.needs().sides[0].name, "alert");
    assert_eq!(plugin.identity().digest, component.digest());
    assert_eq!((&*plugin.identity().name, &*plugin.identity().version), ("test", "1.2.3"));
    let mut instance = plugin.instantiate().expect("an instance");
    let keys: Binary = ["a", "b"].into_iter().collect();
    let states: Binary = ["", "state"].into_iter().collect();
    let timers = Timers { groups: vec![1], times: vec![12] };
    let turn = |groups: &'static [u32], times: &'static [i64]| Turn {
        keys: &keys,
        states: &states,
        groups,
        batch: View { times, keys: None, values: None, fields: Vec::new() },
        timers: &timers,
        watermark: 15,
        ordered: true,
    };
    let answer = instance.process(&turn(&[0, 1], &[13, 14])).expect("a turn");
    assert_eq!(answer.states, states);
    assert_eq!(answer.timers.iter().collect::<Vec<_>>(), [(1, 20)]);
    assert_eq!(answer.main, Rows { origins: Some(vec![0]), times: Some(vec![15]), ..Rows::default() });
    let alert: Binary = ["alert"].into_iter().collect();
    let side = Rows { origins: Some(vec![3]), times: Some(vec![15]), keys: None, values: Some(alert) };
    assert_eq!(answer.sides, [(0, side)]);
    let counts = plugin.ledger().counts();
    assert_eq!((counts.calls, counts.rows, counts.instances), (1, 2, 1));

    // With one row less, number 3 is no key any more.
    let error = instance.process(&turn(&[0], &[13])).expect_err("there is no key 2");
    assert_eq!(error.kind(), ErrorKind::Guest(GuestFault::Contract));
    assert!(error.to_string().contains("names row 3, but the input has 1 rows and 2 keys"), "{error}");
}

/// Accumulators and states of an older version are rewritten by `migrate`, one for one.
#[test]
fn migration() {
    // States of version 3 come back as they are, those of other versions are lost.
    let mut body = String::new();
    for (word, local) in [(0, 1), (1, 2), (2, 3), (3, 4)] {
        body.push_str(&format!("(i32.store (i32.const {}) (local.get {local}))", ANSWER + 4 + word * 4));
    }
    let body = format!("(if (i32.eq (local.get 0) (i32.const 3)) (then {body})) (i32.const {ANSWER})");
    let host = host();
    let component = Guest::keeping_states(SILENT).migrate(&body).words(ANSWER, &[0]).load(&host);
    assert_eq!(component.describe().state_version, 7);
    let plugin = host.process(&component, "watch", "{}", Limits::default()).expect("a plugin");
    let mut instance = plugin.instantiate().expect("an instance");
    let states: Binary = ["x", "", "yz"].into_iter().collect();
    assert_eq!(instance.migrate(3, &states).expect("rewritten"), states);
    let mut instance = plugin.instantiate().expect("an instance");
    let error = instance.migrate(4, &states).expect_err("three states were given");
    assert_eq!(error.kind(), ErrorKind::Guest(GuestFault::Contract));
    assert!(error.to_string().contains("`migrate` broke the contract: `states` has 0 entries, expected 3"), "{error}");
}

/// An answer of the wrong length is an error of the guest that names step, plugin, function and column.
#[test]
fn a_broken_answer_is_the_guests_error() {
    let mut output = UNCHANGED;
    output[0..3].copy_from_slice(&[1, FREE, 2]);
    output[3..6].copy_from_slice(&[1, FREE, 1]);
    let host = host();
    let component = Guest::answering(output).words(FREE, &[0, 1]).load(&host);
    let plugin = host.transform(&component, "clean", "{}", Limits::default()).expect("a plugin");
    let mut instance = plugin.instantiate().expect("an instance");
    let view = View { times: &[1, 2, 3], keys: None, values: None, fields: Vec::new() };
    let error = instance.transform(&view).expect_err("two rows, but one time");
    assert_eq!(error.kind(), ErrorKind::Guest(GuestFault::Contract));
    let expected = "plugin test 1.2.3: `transform` broke the contract: `times` has 1 entries, expected 2";
    assert_eq!(error.to_string(), expected);
}

/// A failure that the plugin returns itself keeps its class and its words, on one line.
#[test]
fn the_guests_own_failure() {
    let host = host();
    for (class, fault, words) in
        [(0, GuestFault::Retry, "asks to be called again"), (1, GuestFault::Fatal, "cannot work")]
    {
        let component = Guest::transform(&format!("(i32.const {ANSWER})"))
            .words(ANSWER, &[1, class, FREE, 10])
            .text(FREE, "lost\\nzones")
            .load(&host);
        let plugin = host.transform(&component, "clean", "{}", Limits::default()).expect("a plugin");
        let mut instance = plugin.instantiate().expect("an instance");
        let view = View { times: &[1], keys: None, values: None, fields: Vec::new() };
        let error = instance.transform(&view).expect_err("the guest says so");
        assert_eq!(error.kind(), ErrorKind::Guest(fault));
        assert_eq!(error.to_string(), format!("plugin test 1.2.3: `transform` {words}: lost zones"));
        assert_eq!(plugin.ledger().counts().faults, [(fault, 1)].into_iter().collect());
    }
}

/// A pointer outside the guest's memory is an error of the guest, not of the host.
#[test]
fn a_wild_pointer_is_the_guests_error() {
    let mut output = UNCHANGED;
    // A pointer beyond the end, to few enough bytes for the limit.
    output[0..3].copy_from_slice(&[1, 0x7fff_fff0, 16]);
    let host = host();
    let component = Guest::answering(output).load(&host);
    let plugin = host.transform(&component, "clean", "{}", Limits::default()).expect("a plugin");
    let mut instance = plugin.instantiate().expect("an instance");
    let view = View { times: &[1], keys: None, values: None, fields: Vec::new() };
    let error = instance.transform(&view).expect_err("that memory does not exist");
    assert_eq!(error.kind(), ErrorKind::Guest(GuestFault::Contract));
    assert!(error.to_string().contains("out of bounds"), "{error}");
}

/// Settings that the plugin refuses fail when the job is checked, in the plugin's own words.
#[test]
fn settings_are_refused_in_the_plugins_words() {
    let host = host();
    let guest = Guest::answering(UNCHANGED)
        .configure(&format!("(i32.const {})", FREE))
        .words(FREE, &[1, FREE + 12, 25])
        .text(FREE + 12, "`radius`: expected metres");
    let error = host.transform(&guest.load(&host), "near", "{}", Limits::default()).err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.to_string(), "step `near`: plugin test 1.2.3: `radius`: expected metres");
}

/// A component's own schema judges its settings; one without takes any, and one that is no schema says so.
#[test]
fn settings_are_judged_by_the_schema() {
    let host = host();
    let judge =
        |schema: &str, settings| Guest::answering(UNCHANGED).with_schema(schema).load(&host).check_settings(&settings);
    let schema = r#"{"properties":{"radius":{"type":"number"}}}"#;
    let problems = judge(schema, json!({ "radius": "1 km" })).expect("a good schema");
    assert_eq!((problems.len(), &*problems[0].path), (1, "/radius"));
    assert_eq!(judge(schema, json!({ "radius": 1 })).expect("a good schema"), []);
    assert_eq!(judge("", json!({ "radius": "1 km" })).expect("no schema"), []);
    let error = judge("{", json!({})).expect_err("no schema at all");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().starts_with("test.wasm: the schema of the plugin's settings is unusable"), "{error}");
}

/// Fields that cannot be parsed fail when the job is checked.
#[test]
fn bad_fields() {
    let host = host();
    let guest = Guest::answering(UNCHANGED)
        .configure(&format!("(i32.const {})", FREE))
        .words(FREE, &[0, FREE + 32, 1, 0])
        .words(FREE + 32, &[FREE + 40, 9])
        .text(FREE + 40, "/x: u1024");
    let error = host.transform(&guest.load(&host), "near", "{}", Limits::default()).err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("asks for a field"), "{error}");
}
