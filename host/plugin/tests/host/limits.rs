//! Guests that trap, loop, swallow memory or return too much: the call fails with words for it, the next one works.

use crate::guest::{ANSWER, FREE, Guest, UNCHANGED};
use wasmill_plugin::{Host, Limits};
use wasmill_stream::plugin::{Transform, View};
use wasmill_stream::units::{ByteCount, Period};
use wasmill_stream::{Error, ErrorKind, GuestFault};

fn view(times: &[i64]) -> View<'_> {
    View { times, keys: None, values: None, fields: Vec::new() }
}

fn instance(guest: &Guest, limits: Limits) -> Box<dyn Transform> {
    let host = Host::new().expect("the engine starts");
    let plugin = host.transform(&guest.load(&host), "clean", "{}", limits).expect("the guest takes its settings");
    // The host is dropped here: instances must not need it.
    plugin.instantiate().expect("a second instance is like the first")
}

/// Runs `body` for a batch of two rows, and checks that the error is the guest's and that a batch of one row, for which
/// the guest behaves, passes afterwards.
fn failure(body: &str, limits: Limits, fault: GuestFault) -> Error {
    let behave = format!("(if (i32.eq (local.get 1) (i32.const 1)) (then (return (i32.const {ANSWER}))))");
    let mut instance = instance(&Guest::transform(&format!("{behave} {body}")).text(FREE, "at the disco"), limits);
    let error = instance.transform(&view(&[1, 2])).expect_err("the guest misbehaves");
    assert_eq!(error.kind(), ErrorKind::Guest(fault));
    assert!(error.to_string().starts_with("plugin test 1.2.3: `transform` "), "{error}");
    let rows = instance.transform(&view(&[1])).expect("the next call has a fresh instance");
    assert_eq!(rows.main.origins, None);
    error
}

/// A trap names step, plugin and function, the reason, and the last error that the guest logged.
#[test]
fn trap() {
    let error = failure("unreachable", Limits::default(), GuestFault::Trap).to_string();
    assert!(error.ends_with("trapped: wasm `unreachable` instruction executed"), "{error}");
    let log = format!("(call $log (i32.const 3) (i32.const {FREE}) (i32.const 12)) unreachable");
    let error = failure(&log, Limits::default(), GuestFault::Trap).to_string();
    assert!(error.ends_with("executed; the last error it logged: at the disco"), "{error}");
    let columns: String = (0..14).map(|local| format!("(local.get {local})")).collect();
    let error = failure(&format!("(call $function {columns})"), Limits::default(), GuestFault::Trap).to_string();
    assert!(error.ends_with("trapped: call stack exhausted"), "{error}");
}

/// What the guest logged in an earlier call is not blamed for a trap.
#[test]
fn old_log_lines_are_forgotten() {
    let log = format!("(call $log (i32.const 3) (i32.const {FREE}) (i32.const 12)) (return (i32.const {ANSWER}))");
    let body = format!("(if (i32.eq (local.get 1) (i32.const 1)) (then {log})) unreachable");
    let mut instance = instance(&Guest::transform(&body).text(FREE, "at the disco"), Limits::default());
    instance.transform(&view(&[1])).expect("logging is no failure");
    let error = instance.transform(&view(&[1, 2])).expect_err("the guest traps").to_string();
    assert!(error.ends_with("`unreachable` instruction executed"), "{error}");
}

/// An endless loop is stopped at its limit, in a call as well as in `configure`.
#[test]
fn endless_loop() {
    // Long enough for everything else that happens here, on a busy machine.
    let limits = Limits { call: Period::from_millis(200), init: Period::from_millis(300), ..Limits::default() };
    let error = failure("(loop (br 0)) (i32.const 0)", limits, GuestFault::Deadline).to_string();
    assert!(error.ends_with("was stopped after 200ms of CPU time, the limit for this call"), "{error}");

    let host = Host::new().expect("the engine starts");
    let guest = Guest::answering(UNCHANGED).configure("(loop (br 0)) (i32.const 0)");
    let error = host.transform(&guest.load(&host), "clean", "{}", limits).err().expect("it never answers");
    assert!(error.to_string().contains("`configure` was stopped after 300ms of CPU time"), "{error}");
}

/// Memory beyond the limit is refused to the guest; a guest that cannot go on without it fails with that reason.
#[test]
fn memory_bomb() {
    let limits = Limits { memory: Some(ByteCount::new(1 << 20)), ..Limits::default() };
    let bomb = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let error = failure(bomb, limits, GuestFault::Memory).to_string();
    assert!(error.ends_with("after it was refused more memory than its limit of 1 MiB"), "{error}");
    let error = failure("(i32.const 4294967295)", limits, GuestFault::Contract).to_string();
    assert!(!error.contains("memory than its limit"), "an old refusal must not be blamed: {error}");
}

/// A guest that needs more memory than its limit just to start is refused with that reason.
#[test]
fn memory_at_start() {
    let host = Host::new().expect("the engine starts");
    let limits = Limits { memory: Some(ByteCount::new(64 << 10)), ..Limits::default() };
    let component = Guest::answering(UNCHANGED).load(&host);
    let error = host.transform(&component, "clean", "{}", limits).err().expect("two pages do not fit into one");
    assert_eq!(error.kind(), ErrorKind::Guest(GuestFault::Memory));
    assert!(error.to_string().contains("`start-up`"), "{error}");
    assert!(error.to_string().contains("its limit of 64 KiB"), "{error}");
}

/// A guest that returns more bytes than its limit is stopped before the host has copied them.
#[test]
fn output_bomb() {
    // A column of keys whose bytes are all of the first page.
    let mut output = UNCHANGED;
    output[6..11].copy_from_slice(&[1, FREE, 2, 0, 65_536]);
    let guest = Guest::answering(output).words(FREE, &[1, 65_536]);
    let mut roomy = instance(&guest, Limits::default());
    assert!(roomy.transform(&view(&[1, 2])).is_ok());
    let mut narrow = instance(&guest, Limits { output: ByteCount::new(32 << 10), ..Limits::default() });
    let error = narrow.transform(&view(&[1, 2])).expect_err("64 KiB do not fit into 32");
    assert_eq!(error.kind(), ErrorKind::Guest(GuestFault::Output));
    let error = error.to_string();
    assert!(error.ends_with("`transform` returned more than 32 KiB, the limit for this call"), "{error}");
}
