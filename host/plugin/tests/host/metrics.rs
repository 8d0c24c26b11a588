//! What a plugin costs, and the numbers that it keeps itself.

use crate::guest::{ANSWER, FREE, Guest};
use std::time::Duration;
use wasmill_plugin::{Host, Limits};
use wasmill_stream::GuestFault;
use wasmill_stream::guest_ledger::Metric;
use wasmill_stream::plugin::{Transform, TransformPlugin, View};
use wasmill_stream::units::Period;

fn call(instance: &mut Box<dyn Transform>, rows: usize) {
    let times = vec![1; rows];
    let _ = instance.transform(&View { times: &times, keys: None, values: None, fields: Vec::new() });
}

fn plugin(guest: &Guest, limits: Limits) -> std::sync::Arc<dyn TransformPlugin> {
    let host = Host::new().expect("the engine starts");
    host.transform(&guest.load(&host), "clean", "{}", limits).expect("a plugin")
}

/// Counters, gauges and histograms of a plugin are kept by name over calls and instances; bad names are dropped.
#[test]
fn a_plugins_own_metrics() {
    let body = format!(
        "(call $count (i32.const {rows}) (i32.const 4) (i64.extend_i32_u (local.get 1)))
         (call $gauge (i32.const {level}) (i32.const 5) (f64.convert_i32_u (local.get 1)))
         (call $observe (i32.const {size}) (i32.const 4) (f64.convert_i32_u (local.get 1)))
         (call $count (i32.const {bad}) (i32.const 8) (i64.const 1))
         (call $count (i32.const {bad}) (i32.const 0) (i64.const 1))
         (i32.const {ANSWER})",
        rows = FREE,
        level = FREE + 8,
        size = FREE + 16,
        bad = FREE + 24,
    );
    let guest = Guest::transform(&body)
        .text(FREE, "rows")
        .text(FREE + 8, "level")
        .text(FREE + 16, "size")
        .text(FREE + 24, "bad name");
    let plugin = plugin(&guest, Limits::default());
    for rows in [3, 5] {
        call(&mut plugin.instantiate().expect("an instance"), rows);
    }
    let metrics: Vec<_> = plugin.ledger().counts().metrics.into_iter().collect();
    let expected = [
        ("level", Metric::Gauge(5.0)),
        ("rows", Metric::Counter(8)),
        ("size", Metric::Histogram { count: 2, sum: 8.0, min: 3.0, max: 5.0 }),
    ];
    assert_eq!(metrics, expected.map(|(name, metric)| (name.to_owned(), metric)));
}

/// Calls, rows, CPU time, slow calls, memory, instances and faults are counted for the step.
#[test]
fn what_a_plugin_costs() {
    // One row: answers at once. Two: some ten million steps. Three: a page more of memory, and a trap.
    let body = format!(
        "(local $steps i32)
         (if (i32.eq (local.get 1) (i32.const 2)) (then
           (loop $more
             (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
             (br_if $more (i32.lt_u (local.get $steps) (i32.const 10000000))))))
         (if (i32.eq (local.get 1) (i32.const 3)) (then (drop (memory.grow (i32.const 1))) unreachable))
         (i32.const {ANSWER})"
    );
    let limits = Limits { slow: Period::from_millis(1), ..Limits::default() };
    let plugin = plugin(&Guest::transform(&body), limits);
    let mut instance = plugin.instantiate().expect("an instance");
    let before = plugin.ledger().counts();
    assert_eq!((before.calls, before.instances), (0, 1));
    assert!(before.starting > Duration::ZERO);
    assert_eq!(before.memory, 2 * 65_536);
    [1, 2, 3, 1].into_iter().for_each(|rows| call(&mut instance, rows));
    let counts = plugin.ledger().counts();
    assert_eq!((counts.calls, counts.rows, counts.slow_calls, counts.instances), (4, 7, 1, 2));
    assert!(counts.longest > Duration::from_millis(1) && counts.cpu >= counts.longest, "{counts:?}");
    assert_eq!(counts.memory, 3 * 65_536);
    assert_eq!(counts.faults, [(GuestFault::Trap, 1)].into_iter().collect());
}
