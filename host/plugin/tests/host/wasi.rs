//! Guests whose toolchain wants WASI: refused without the grant, and with it given a world in which nothing happens.

use crate::guest::{FREE, Guest, UNCHANGED, wrap};
use wasmill_plugin::{Grants, Host, Limits};
use wasmill_stream::plugin::{Transformed, View};
use wasmill_stream::{ErrorKind, GuestFault, Result};

/// The parts of WASI that the guest uses, as they are in its WIT, with the version left open.
const WIT: &str = "package test:guest;
    world guest {
        include wasmill:plugin/transform@0.1.0;
        import wasi:cli/environment@VERSION;
        import wasi:cli/stderr@VERSION;
        import wasi:clocks/wall-clock@VERSION;
        import wasi:clocks/monotonic-clock@VERSION;
        import wasi:filesystem/preopens@VERSION;
        import wasi:io/poll@VERSION;
        import wasi:random/random@VERSION;
        import wasi:sockets/tcp-create-socket@VERSION;
    }
    package wasi:cli@VERSION {
        interface environment { get-environment: func() -> list<tuple<string, string>>; }
        interface stderr { use wasi:io/streams@VERSION.{output-stream}; get-stderr: func() -> output-stream; }
    }
    package wasi:clocks@VERSION {
        interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
        interface monotonic-clock {
            use wasi:io/poll@VERSION.{pollable};
            now: func() -> u64;
            subscribe-duration: func(when: u64) -> pollable;
        }
    }
    package wasi:filesystem@VERSION {
        interface preopens { get-directories: func() -> list<u32>; }
    }
    package wasi:io@VERSION {
        interface poll {
            resource pollable { block: func(); }
            poll: func(in: list<borrow<pollable>>) -> list<u32>;
        }
        interface streams {
            variant stream-error { closed }
            resource output-stream {
                blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
            }
        }
    }
    package wasi:random@VERSION {
        interface random { get-random-u64: func() -> u64; get-random-bytes: func(len: u64) -> list<u8>; }
    }
    package wasi:sockets@VERSION {
        interface tcp-create-socket {
            enum error-code { unknown, access-denied }
            create-tcp-socket: func(family: u8) -> result<u32, error-code>;
        }
    }";

const IMPORTS: &str = r#"
    (import "wasi:cli/environment@VERSION" "get-environment" (func $environment (param i32)))
    (import "wasi:cli/stderr@VERSION" "get-stderr" (func $stderr (result i32)))
    (import "wasi:clocks/wall-clock@VERSION" "now" (func $wall (param i32)))
    (import "wasi:clocks/monotonic-clock@VERSION" "now" (func $monotonic (result i64)))
    (import "wasi:clocks/monotonic-clock@VERSION" "subscribe-duration" (func $sleep (param i64) (result i32)))
    (import "wasi:filesystem/preopens@VERSION" "get-directories" (func $directories (param i32)))
    (import "wasi:io/poll@VERSION" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/poll@VERSION" "[resource-drop]pollable" (func $drop (param i32)))
    (import "wasi:io/poll@VERSION" "poll" (func $poll (param i32 i32 i32)))
    (import "wasi:io/streams@VERSION" "[method]output-stream.blocking-write-and-flush"
      (func $write (param i32 i32 i32 i32)))
    (import "wasi:random/random@VERSION" "get-random-u64" (func $random (result i64)))
    (import "wasi:random/random@VERSION" "get-random-bytes" (func $bytes (param i64 i32)))
    (import "wasi:sockets/tcp-create-socket@VERSION" "create-tcp-socket" (func $socket (param i32 i32)))"#;

/// The time of the row that comes out.
const TIME: u32 = FREE + 256;

/// Looks at everything it is given, and gives a row whose time is made of clocks and random numbers. With two rows it
/// writes a line and a half to standard error, and traps.
fn guest() -> Guest {
    let zero = |what: &str, at: u32| format!("(if (i32.ne (i32.load (i32.const {at})) {what}) (then unreachable))");
    let one = |at: u32| format!("(if (i32.ne (i32.load8_u (i32.const {at})) (i32.const 1)) (then unreachable))");
    let body = format!(
        "(local $pollable i32)
         (if (i32.eq (local.get 1) (i32.const 2)) (then
           (call $write (call $stderr) (i32.const {FREE}) (i32.const 25) (i32.const {at}))
           unreachable))
         (if (i32.eq (local.get 1) (i32.const 3)) (then (loop $more (drop (call $stderr)) (br $more))))
         (call $environment (i32.const {at})) {none}
         (call $directories (i32.const {at})) {none}
         (call $socket (i32.const 0) (i32.const {at})) {is_error} {is_denied}
         (local.set $pollable (call $sleep (i64.const 3600000000000)))
         (call $block (local.get $pollable))
         (i32.store (i32.const {handle}) (local.get $pollable))
         (call $poll (i32.const {handle}) (i32.const 1) (i32.const {at})) {one_ready}
         (call $drop (local.get $pollable))
         (call $bytes (i64.const 5) (i32.const {at})) {five_bytes}
         (call $wall (i32.const {at}))
         (i64.store (i32.const {TIME})
           (i64.add (i64.load (i32.const {at}))
             (i64.add (call $monotonic) (i64.and (call $random) (i64.const 0xffffff)))))
         (i32.const 256)",
        at = FREE + 128,
        handle = FREE + 192,
        none = zero("(i32.const 0)", FREE + 132),
        is_error = one(FREE + 128),
        is_denied = one(FREE + 132),
        one_ready = zero("(i32.const 1)", FREE + 132),
        five_bytes = zero("(i32.const 5)", FREE + 132),
    );
    let mut output = UNCHANGED;
    output[3..6].copy_from_slice(&[1, TIME, 1]);
    let mut answer = vec![0];
    answer.extend(output);
    Guest::transform(&body).words(256, &answer).text(FREE, "panic: out of\\nzones [x:7]")
}

fn component(version: &str) -> Vec<u8> {
    let core = guest().importing(&IMPORTS.replace("VERSION", version)).core();
    wrap(&core, &WIT.replace("VERSION", version))
}

fn call(host: &Host, bytes: &[u8], times: &[i64]) -> Result<Transformed> {
    let component = host.load_with("x.wasm", bytes, Grants { wasi: true }, &Limits::default())?;
    let plugin = host.transform(&component, "clean", "{}", Limits::default())?;
    plugin.instantiate()?.transform(&View { times, keys: None, values: None, fields: Vec::new() })
}

/// Without the grant every interface of WASI is named and refused, with the grant to ask for.
#[test]
fn without_the_grant() {
    let host = Host::new().expect("the engine starts");
    let error = host.load("x.wasm", &component("0.2.9")).err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let words = error.to_string();
    for interface in ["cli/environment", "cli/stderr", "clocks/wall-clock", "io/streams", "sockets/tcp-create-socket"] {
        assert!(words.contains(&format!("wasi:{interface}@0.2.9")), "{words}");
    }
    assert!(words.contains("grant it with wasi = \"inert\""), "{words}");
}

/// With the grant a guest of any patch version finds no files, sockets and environment, waits for nothing, and sees the
/// same clocks and random numbers each time. (What the clocks show: `clock.rs`.)
#[test]
fn with_the_grant() {
    let host = Host::new().expect("the engine starts");
    let times = ["0.2.0", "0.2.9", "0.2.9", "0.2.12"].map(|version| {
        let rows = call(&host, &component(version), &[1]).expect("a row");
        rows.main.times.expect("its time")
    });
    assert!(times.iter().all(|other| *other == times[0] && other[0] > 1_000), "{times:?}");
}

/// The grant is for WASI 0.2: other versions and packages stay refused.
#[test]
fn other_versions() {
    let host = Host::new().expect("the engine starts");
    let error = call(&host, &component("0.3.0"), &[1]).expect_err("another WASI");
    assert!(error.to_string().contains("imports wasi:cli/environment@0.3.0"), "{error}");
    assert!(error.to_string().contains("may import only"), "{error}");
}

/// What a guest writes to standard error before it traps is the reason that is given, over all its lines.
#[test]
fn standard_error_is_the_reason() {
    let host = Host::new().expect("the engine starts");
    let error = call(&host, &component("0.2.9"), &[1, 2]).expect_err("it traps");
    assert_eq!(error.kind(), ErrorKind::Guest(GuestFault::Trap));
    assert!(error.to_string().ends_with("the last error it logged: panic: out of zones [x:7]"), "{error}");
}

/// Handles that are never given back are limited; the guest is stopped, not the host.
#[test]
fn handles_without_end() {
    let host = Host::new().expect("the engine starts");
    let error = call(&host, &component("0.2.9"), &[1, 2, 3]).expect_err("it is stopped");
    assert_eq!(error.kind(), ErrorKind::Guest(GuestFault::Trap));
    assert!(
        error.to_string().ends_with("was stopped: it holds 1024 handles of WASI and asked for one more"),
        "{error}"
    );
}
