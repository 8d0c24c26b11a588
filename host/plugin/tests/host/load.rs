//! What is refused before any row is seen, and in which words.

use crate::guest::{Guest, UNCHANGED, wrap, wrap_alone};
use wasmill_plugin::{Host, Kind, Limits};
use wasmill_stream::ErrorKind;

fn host() -> Host {
    Host::new().expect("the engine starts")
}

/// Loads bytes that must be refused, and gives the words.
fn refused(bytes: &[u8]) -> String {
    let error = host().load("dir/x.wasm", bytes).err().expect("the component must be refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let words = error.report();
    assert!(words.starts_with("dir/x.wasm: "), "{words}");
    words
}

/// A component of one of our worlds tells its kind, name and digest.
#[test]
fn a_component_is_known_after_loading() {
    let host = host();
    let transform = Guest::answering(UNCHANGED).load(&host);
    assert_eq!(transform.kind(), Kind::Transform);
    assert_eq!(transform.describe().to_string(), "test 1.2.3");
    assert_eq!(transform.digest().len(), 64);
    let aggregator = Guest::keeping_accumulators().load(&host);
    assert_eq!(aggregator.kind(), Kind::Aggregator);
    assert_ne!(aggregator.digest(), transform.digest());
}

/// Files that are no components at all are told apart.
#[test]
fn other_files() {
    assert!(refused(b"").contains("empty"));
    assert!(refused(b"#!/bin/sh").contains("not WebAssembly"));
    assert!(refused(b"\0asm").contains("neither a component nor a core module"));
    let core = refused(&Guest::answering(UNCHANGED).core());
    assert!(core.contains("core module") && core.contains("wasmill build"), "{core}");
}

/// A component that is cut off anywhere is refused, and the message says that and where.
#[test]
fn cut_off() {
    let whole = Guest::answering(UNCHANGED).component();
    let half = refused(&whole[..whole.len() / 2]);
    assert!(half.contains("cut off") && half.contains("offset"), "{half}");
    let host = host();
    for length in (8..whole.len()).step_by(7) {
        assert!(host.load("x.wasm", &whole[..length]).is_err(), "{length} bytes");
    }
}

/// Whatever a component imports beyond the log is named and refused.
#[test]
fn unknown_imports() {
    let core = br#"(module
        (import "evil:net/sockets" "connect" (func (param i32)))
        (memory (export "memory") 1))"#;
    let core = wat::parse_bytes(core).expect("valid text");
    let bytes = wrap(
        &core,
        "package evil:net; interface sockets { connect: func(port: u32); } world guest { import sockets; }",
    );
    let words = refused(&bytes);
    assert!(words.contains("imports evil:net/sockets, which it is not given; it may import only"), "{words}");
}

/// A component without our exports is told which ones it has and which ones it should have.
#[test]
fn foreign_world() {
    let core = wat::parse_str(r#"(module (func (export "other:app/run#go")))"#).expect("valid text");
    let wit = "package other:app; interface run { go: func(); } world guest { export run; }";
    let words = refused(&wrap(&core, wit));
    assert!(words.contains("it exports other:app/run;"), "{words}");
    assert!(words.contains("wasmill:plugin/transformer@0.1.0 (world `transform`)"), "{words}");
}

/// A component lacking the lifecycle, or fitting two worlds at once, is refused.
#[test]
fn no_world_or_two() {
    let core = wat::parse_str(r#"(module (func (export "wasmill:plugin/transformer@0.1.0#transform")))"#);
    let wit = "package wasmill:plugin@0.1.0;
        interface transformer { transform: func(); }
        world guest { export transformer; }";
    let words = refused(&wrap_alone(&core.expect("valid text"), wit));
    assert!(words.contains("fits none of our worlds: it exports wasmill:plugin/transformer@0.1.0;"), "{words}");

    let both = Guest::answering(UNCHANGED).and(Guest::keeping_accumulators());
    let words = refused(&both.component_of(
        "package test:guest;
        world guest { include wasmill:plugin/transform@0.1.0; include wasmill:plugin/aggregator@0.1.0; }",
    ));
    assert!(words.contains("fits the worlds `transform` and `aggregator` at once"), "{words}");
}

/// Instructions whose results depend on the machine are refused when the component is compiled.
#[test]
fn relaxed_simd() {
    let guest =
        Guest::transform("(v128.const i64x2 0 0) (v128.const i64x2 0 0) (drop (i8x16.relaxed_swizzle)) (i32.const 0)");
    let words = refused(&guest.component());
    assert!(words.contains("cannot be compiled") && words.contains("relaxed SIMD support is not enabled"), "{words}");
}

/// A component whose function has other types than the contract says is refused when it is loaded.
#[test]
fn other_types() {
    let core = wat::parse_str(
        r#"(module
            (memory (export "memory") 1)
            (func (export "wasmill:plugin/lifecycle@0.1.0#describe") (result i32) unreachable)
            (func (export "wasmill:plugin/lifecycle@0.1.0#configure"))
            (func (export "wasmill:plugin/transformer@0.1.0#transform")))"#,
    )
    .expect("valid text");
    let wit = "package wasmill:plugin@0.1.0;
        interface lifecycle {
            record description { name: string, version: string }
            describe: func() -> description;
            configure: func();
        }
        interface transformer { transform: func(); }
        world guest { export lifecycle; export transformer; }";
    let error = host().load("x.wasm", &wrap_alone(&core, wit)).err().expect("the types differ");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let words = error.to_string();
    assert!(words.contains("wasmill:plugin/lifecycle@0.1.0 is not as this version of wasmill has it"), "{words}");
}

/// An aggregator where a transform is wanted is refused, and the message names the step and both worlds.
#[test]
fn wrong_world_for_the_step() {
    let host = host();
    let aggregator = Guest::keeping_accumulators().load(&host);
    let error = host.transform(&aggregator, "clean", "{}", Limits::default()).err().expect("it is no transform");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let words = error.to_string();
    assert!(words.contains("step `clean`") && words.contains("test 1.2.3"), "{words}");
    assert!(words.contains("expected a component of world `transform`") && words.contains("`aggregator`"), "{words}");
}
