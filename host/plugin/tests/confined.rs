//! Components and schemas that would exhaust the host do it to a child process; compiled code is found again. This program
//! is its own child.

#[path = "host/guest.rs"]
#[allow(dead_code)]
mod guest;

use guest::{Guest, UNCHANGED, wrap};
use serde_json::json;
use std::fmt::Write;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wasmill_plugin::{Cache, Child, Component, Confines, Host, Limits, Task};
use wasmill_stream::plugin::View;
use wasmill_stream::units::{ByteCount, Period};
use wasmill_stream::{ErrorKind, Result};

const TESTS: [(&str, fn()); 7] = [
    ("a_child_compiles", a_child_compiles),
    ("compiled_code_is_found_again", compiled_code_is_found_again),
    ("damaged_code_is_compiled_anew", damaged_code_is_compiled_anew),
    ("a_bad_component_is_refused_in_the_same_words", a_bad_component_is_refused_in_the_same_words),
    ("a_compile_bomb_dies_alone", a_compile_bomb_dies_alone),
    ("a_silent_child_is_killed", a_silent_child_is_killed),
    ("a_hostile_schema_dies_alone", a_hostile_schema_dies_alone),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["child", task, memory, cpu] => {
            let number = |text: &str| text.parse().expect("a number");
            task.parse::<Task>().expect("a task").serve(number(memory), number(cpu))
        }
        ["sleeper", ..] => {
            std::thread::sleep(Duration::from_secs(60));
            ExitCode::SUCCESS
        }
        ["--list", ..] => {
            TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
            ExitCode::SUCCESS
        }
        arguments => run(arguments),
    }
}

/// As the standard harness does it: a name selects the tests that contain it.
fn run(arguments: &[&str]) -> ExitCode {
    let filter = arguments.iter().find(|argument| !argument.starts_with('-')).copied().unwrap_or("");
    let chosen: Vec<_> = TESTS.iter().filter(|(name, _)| name.contains(filter)).collect();
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for (name, test) in &chosen {
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out",
        chosen.len() - failed,
        TESTS.len() - chosen.len()
    );
    ExitCode::from(u8::from(failed > 0))
}

fn child() -> Child {
    Child::this_program(["child"])
}

fn confines(memory: u64, cpu: i64, wall: i64) -> Confines {
    Confines { memory: ByteCount::new(memory), cpu: Period::from_millis(cpu), wall: Period::from_millis(wall) }
}

/// The plugin must work: one row in, one row out.
fn assert_works(host: &Host, component: &Component) {
    let plugin = host.transform(component, "clean", "{}", Limits::default()).expect("a plugin");
    let view = View { times: &[1], keys: None, values: None, fields: Vec::new() };
    plugin.instantiate().expect("an instance").transform(&view).expect("rows");
}

/// A child compiles a component, and the plugin works here.
fn a_child_compiles() {
    let host = Host::confined(child(), None).expect("the engine starts");
    assert_works(&host, &Guest::answering(UNCHANGED).load(&host));
}

fn cached(folder: &std::path::Path, arguments: &[&str]) -> Host {
    let cache = Cache::open(folder, Cache::SIZE).expect("a cache");
    let child = Child::this_program(arguments).with_compile(confines(1 << 30, 1_000, 300));
    Host::confined(child, Some(cache)).expect("the engine starts")
}

/// What was compiled once is not compiled again by the next host, which could not; another component would have to be.
fn compiled_code_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = Guest::answering(UNCHANGED).component();
    let cache = Cache::open(folder.path(), Cache::SIZE).expect("a cache");
    Host::confined(child(), Some(cache)).expect("a host").load("x.wasm", &bytes).expect("compiled");
    let host = cached(folder.path(), &["sleeper"]);
    assert_works(&host, &host.load("x.wasm", &bytes).expect("found"));
    assert!(host.load("y.wasm", &Guest::keeping_accumulators().component()).is_err());
}

/// Code that somebody has changed is not run but compiled anew.
fn damaged_code_is_compiled_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = Guest::answering(UNCHANGED).component();
    let host = || {
        let cache = Cache::open(folder.path(), Cache::SIZE).expect("a cache");
        Host::confined(child(), Some(cache)).expect("a host")
    };
    host().load("x.wasm", &bytes).expect("compiled");
    let files = std::fs::read_dir(folder.path()).expect("the cache").map(|entry| entry.expect("a file").path());
    let file = files.into_iter().find(|path| path.extension().is_some()).expect("the compiled component");
    let whole = std::fs::read(&file).expect("the code");
    let mut changed = whole.clone();
    *changed.last_mut().expect("some code") ^= 1;
    std::fs::write(&file, &changed).expect("changed");
    let host = host();
    assert_works(&host, &host.load("x.wasm", &bytes).expect("compiled anew"));
    assert_ne!(std::fs::read(&file).expect("written anew"), changed);
}

/// Whether a child or this process compiles, a bad component is refused in the same words.
fn a_bad_component_is_refused_in_the_same_words() {
    let whole = Guest::answering(UNCHANGED).component();
    let words =
        |host: Result<Host>, bytes: &[u8]| host.expect("a host").load("x.wasm", bytes).err().expect("refused").report();
    let relaxed =
        Guest::transform("(v128.const i64x2 0 0) (v128.const i64x2 0 0) (drop (i8x16.relaxed_swizzle)) (i32.const 0)");
    for bytes in [&whole[..whole.len() / 2], &relaxed.component()] {
        let confined = words(Host::confined(child(), None), bytes);
        assert_eq!(confined, words(Host::new(), bytes));
        assert!(confined.contains("x.wasm: the component"), "{confined}");
    }
}

/// A component of 200 functions that are each much work to compile.
fn bomb() -> Vec<u8> {
    let mut body = String::new();
    for at in 0..6_000 {
        let _ = write!(
            body,
            "(block (br_if 0 (local.get {})) (local.set {} (i64.extend_i32_u (local.get {}))))",
            at % 50,
            50 + at % 50,
            (at + 7) % 50
        );
    }
    let mut text = String::from("(module (memory (export \"memory\") 1)");
    for _ in 0..60 {
        let _ = write!(text, "(func (local{} {}) {body})", " i32".repeat(50), " i64".repeat(50));
    }
    text.push(')');
    let core = wat::parse_str(text).expect("valid text");
    wrap(&core, "package test:bomb; world guest { }")
}

/// A component that takes too much time or memory to compile is refused with the limit that it hit; the host compiles the
/// next one.
fn a_compile_bomb_dies_alone() {
    let bomb = bomb();
    for (confines, expected) in [
        (confines(2 << 30, 1_000, 60_000), "took more than 1s of CPU time and was stopped"),
        (confines(160 << 20, 60_000, 120_000), "took more than 160 MiB of memory and was stopped"),
    ] {
        let host = Host::confined(child().with_compile(confines), None).expect("the engine starts");
        let start = Instant::now();
        let error = host.load("bomb.wasm", &bomb).err().expect("it is stopped");
        println!("  bomb of {} bytes: {} after {:?}", bomb.len(), error.report(), start.elapsed());
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.report().contains(expected), "{}", error.report());
        assert_works(&host, &Guest::answering(UNCHANGED).load(&host));
    }
}

/// A child that does nothing is killed when its time is over.
fn a_silent_child_is_killed() {
    let child = Child::this_program(["sleeper"]).with_compile(confines(1 << 30, 1_000, 200));
    let host = Host::confined(child, None).expect("the engine starts");
    let start = Instant::now();
    let error = host.load("x.wasm", &Guest::answering(UNCHANGED).component()).err().expect("it is killed");
    assert!(error.report().contains("compiling the component took more than 200ms and was stopped"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(30));
}

/// A schema that grows exponentially, or that refers to itself deeper than any stack, is the component's error; the host
/// goes on and judges the next settings.
fn a_hostile_schema_dies_alone() {
    let chain = |links: usize, width: usize| {
        let name = |link: usize| json!({ "$ref": format!("#/$defs/{link}") });
        let mut defs: serde_json::Map<_, _> =
            (0..links).map(|link| (link.to_string(), json!({ "allOf": vec![name(link + 1); width] }))).collect();
        defs.insert(links.to_string(), json!(true));
        json!({ "allOf": [name(0)], "$defs": defs }).to_string()
    };
    let host = Host::confined(child(), None).expect("the engine starts");
    for (schema, expected) in [(chain(64, 2), "took more than 2s of CPU time"), (chain(4_000, 1), "")] {
        let component = Guest::answering(UNCHANGED).with_schema(&schema).load(&host);
        match component.check_settings(&json!({})) {
            Ok(problems) => assert!(problems.is_empty() && expected.is_empty(), "{problems:?}"),
            Err(error) => {
                println!("  schema of {} bytes: {}", schema.len(), error.report());
                assert_eq!(error.kind(), ErrorKind::Invalid);
                assert!(error.report().contains("the schema of the plugin's settings is unusable"));
                assert!(error.report().contains(expected), "{}", error.report());
            }
        }
    }
    let schema = r#"{"properties":{"radius":{"type":"number"}}}"#;
    let component = Guest::answering(UNCHANGED).with_schema(schema).load(&host);
    let problems = component.check_settings(&json!({ "radius": "1 km" })).expect("a good schema");
    assert_eq!(problems[0].path, "/radius");
    assert_eq!(component.describe().settings.as_deref(), Some(schema));
}
