//! The time of day under the grant `wasi = "inert"`: that of the rows, timers and windows of the call.

use crate::guest::{ANSWER, FREE, Guest, SILENT, wrap};
use wasmill_plugin::{Component, Grants, Host, Limits};
use wasmill_stream::guest_ledger::Metric;
use wasmill_stream::plugin::{Fired, Plugin, Process, Timers, Turn, View};
use wasmill_stream::{Binary, Firing, Pane};

const CLOCKS: &str = "package wasi:clocks@0.2.9 {
        interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
        interface monotonic-clock { now: func() -> u64; }
    }";

const IMPORTS: &str = r#"
    (import "wasi:clocks/wall-clock@0.2.9" "now" (func $wall (param i32)))
    (import "wasi:clocks/monotonic-clock@0.2.9" "now" (func $monotonic (result i64)))"#;

/// Where a guest puts the time of day, and what the monotonic clock showed last.
const NOW: u32 = FREE + 64;
const LAST: u32 = FREE + 96;

/// Keeps the time of day in milliseconds as the gauge `now`, and traps if the monotonic clock has not moved on.
fn look() -> String {
    format!(
        "(local $ticks i64)
         (local.set $ticks (call $monotonic))
         (if (i64.le_u (local.get $ticks) (i64.load (i32.const {LAST}))) (then unreachable))
         (i64.store (i32.const {LAST}) (local.get $ticks))
         (call $wall (i32.const {NOW}))
         (call $gauge (i32.const {FREE}) (i32.const 3) (f64.add
           (f64.mul (f64.convert_i64_u (i64.load (i32.const {NOW}))) (f64.const 1000))
           (f64.div (f64.convert_i32_u (i32.load (i32.const {nanoseconds}))) (f64.const 1000000))))",
        nanoseconds = NOW + 8,
    )
}

fn load(host: &Host, guest: Guest) -> Component {
    let guest = guest.importing(IMPORTS).looking(&look()).text(FREE, "now");
    let world =
        guest.wit().replace(" }", " import wasi:clocks/wall-clock@0.2.9; import wasi:clocks/monotonic-clock@0.2.9; }");
    let bytes = wrap(&guest.core(), &format!("{world} {CLOCKS}"));
    host.load_with("clock.wasm", &bytes, Grants { wasi: true }, &Limits::default()).expect("it is granted WASI")
}

/// What the guest saw last.
fn seen(plugin: &dyn Plugin) -> f64 {
    match plugin.ledger().counts().metrics.get("now") {
        Some(Metric::Gauge(now)) => *now,
        other => panic!("no time: {other:?}"),
    }
}

fn view(times: &[i64]) -> View<'_> {
    View { times, keys: None, values: None, fields: Vec::new() }
}

/// Calls to one instance of a transform → each sees the latest time of its own rows, whatever the calls before saw; times
/// outside 1970 to 2262 show as the nearer end; the monotonic clock never goes back.
#[test]
fn the_latest_row() {
    let host = Host::new().expect("the engine starts");
    let component = load(&host, Guest::transform(&format!("(call $look) (i32.const {ANSWER})")));
    let plugin = host.transform(&component, "clean", "{}", Limits::default()).expect("a plugin");
    let mut instance = plugin.instantiate().expect("an instance");
    let now = 1_356_998_400_123;
    let end = 9_223_372_036_854.0;
    let cases: [(&[i64], f64); 6] = [
        (&[now - 5, now, now - 1_000], now as f64),
        (&[2_001], 2_001.0),
        (&[], 0.0),
        (&[i64::MIN, -1], 0.0),
        (&[i64::MAX, 5], end),
        (&[end as i64 - 1], end - 1.0),
    ];
    for (times, expected) in cases {
        instance.transform(&view(times)).expect("rows");
        assert_eq!(seen(&*plugin), expected, "{times:?}");
    }
}

/// An aggregator sees the latest row in `accumulate` and the end of the latest window in `finish`. `merge` and `migrate`
/// tell of no time → 1970.
#[test]
fn windows() {
    let host = Host::new().expect("the engine starts");
    let component = load(&host, Guest::keeping_accumulators().migrate(&format!("(call $look) (i32.const {ANSWER})")));
    let plugin = host.aggregate(&component, "count", "{}", Limits::default()).expect("a plugin");
    let mut instance = plugin.instantiate().expect("an instance");
    let one: Binary = ["a"].into_iter().collect();
    instance.accumulate(&one, &[0, 0], &view(&[7_000, 3_000])).expect("accumulated");
    assert_eq!(seen(&*plugin), 7_000.0);
    instance.merge(&one, &[0], 1).expect("merged");
    assert_eq!(seen(&*plugin), 0.0);
    let two: Binary = ["a", "b"].into_iter().collect();
    let windows =
        [Firing { start: 0, end: 60_000, pane: Pane::OnTime }, Firing { start: 0, end: 9_000, pane: Pane::Late }];
    instance.finish(&Fired { windows: &windows, keys: &two, accumulators: &two }).expect("finished");
    assert_eq!(seen(&*plugin), 60_000.0);
    let _ = instance.migrate(1, &one);
    assert_eq!(seen(&*plugin), 0.0);
}

/// A process sees the latest of its rows and the watermark; without a watermark its rows only; after the last row of all
/// the timers that then fire.
#[test]
fn timers() {
    let host = Host::new().expect("the engine starts");
    let keep =
        format!("(memory.copy (i32.const {}) (i32.add (local.get 0) (i32.const 16)) (i32.const 16))", ANSWER + 4);
    let guest = Guest::process(&format!("(call $look) {keep} (i32.const {ANSWER})")).words(ANSWER + 20, &SILENT);
    let component = load(&host, guest);
    let plugin = host.process(&component, "watch", "{}", Limits::default()).expect("a plugin");
    let mut instance = plugin.instantiate().expect("an instance");
    let (known, unknown, over) = (15_000, i64::MIN, i64::MAX);
    let cases: [(&[i64], i64, f64); 7] = [
        (&[13_000, 14_000], known, 15_000.0),
        (&[13_000, 16_000], known, 16_000.0),
        (&[], known, 15_000.0),
        (&[13_000], unknown, 13_000.0),
        (&[], unknown, 0.0),
        (&[], over, 12_000.0),
        (&[14_000, 13_000], over, 14_000.0),
    ];
    for (times, watermark, expected) in cases {
        turn(&mut *instance, times, watermark);
        assert_eq!(seen(&*plugin), expected, "{times:?}, {watermark}");
    }
}

/// A call about one key, with timers at 11 and 12 seconds.
fn turn(instance: &mut dyn Process, times: &[i64], watermark: i64) {
    let one: Binary = ["a"].into_iter().collect();
    let timers = Timers { groups: vec![0, 0], times: vec![11_000, 12_000] };
    let (groups, batch) = (vec![0; times.len()], view(times));
    let turn = Turn { keys: &one, states: &one, groups: &groups, batch, timers: &timers, watermark, ordered: false };
    instance.process(&turn).expect("a turn");
}
