//! Rows that cross and come back, settings, and answers that break the contract.

use crate::guest::{ANSWER, FREE, Guest, UNCHANGED};
use wasmill_plugin::{Host, Limits};
use wasmill_stream::plugin::{Fired, View};
use wasmill_stream::{Binary, ErrorKind, Firing, Pane};

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
        assert_eq!(rows.values, Some(values));
        assert_eq!((rows.origins, rows.keys, rows.times), (None, None, None));
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
    assert_eq!(error.kind(), ErrorKind::Guest);
    let expected = "plugin test 1.2.3: `transform` broke the contract: `times` has 1 entries, expected 2";
    assert_eq!(error.to_string(), expected);
}

/// An error that the plugin returns itself is passed on in its words, on one line.
#[test]
fn the_guests_own_error() {
    let host = host();
    let component = Guest::transform(&format!("(i32.const {ANSWER})"))
        .words(ANSWER, &[1, FREE, 10])
        .text(FREE, "lost\\nzones")
        .load(&host);
    let plugin = host.transform(&component, "clean", "{}", Limits::default()).expect("a plugin");
    let mut instance = plugin.instantiate().expect("an instance");
    let view = View { times: &[1], keys: None, values: None, fields: Vec::new() };
    let error = instance.transform(&view).expect_err("the guest says so");
    assert_eq!(error.kind(), ErrorKind::Guest);
    assert_eq!(error.to_string(), "plugin test 1.2.3: `transform` failed: lost zones");
}

/// A pointer outside the guest's memory is an error of the guest, not of the host.
#[test]
fn a_wild_pointer_is_the_guests_error() {
    let mut output = UNCHANGED;
    output[0..3].copy_from_slice(&[1, 0x7fff_fff0, 0x1000_0000]);
    let host = host();
    let component = Guest::answering(output).load(&host);
    let plugin = host.transform(&component, "clean", "{}", Limits::default()).expect("a plugin");
    let mut instance = plugin.instantiate().expect("an instance");
    let view = View { times: &[1], keys: None, values: None, fields: Vec::new() };
    let error = instance.transform(&view).expect_err("that memory does not exist");
    assert_eq!(error.kind(), ErrorKind::Guest);
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

/// Fields that cannot be parsed fail when the job is checked.
#[test]
fn bad_fields() {
    let host = host();
    let guest = Guest::answering(UNCHANGED)
        .configure(&format!("(i32.const {})", FREE))
        .words(FREE, &[0, FREE + 16, 1, 0])
        .words(FREE + 16, &[FREE + 24, 9])
        .text(FREE + 24, "/x: u1024");
    let error = host.transform(&guest.load(&host), "near", "{}", Limits::default()).err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("asks for a field"), "{error}");
}
