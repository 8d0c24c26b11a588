//! A version that takes over and wants more than the one before was granted: somebody has to approve it by name.

use crate::harness::guests;
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::stream::{Stream, job, replace, version};
use std::fs;
use std::path::Path;

/// A transform that leaves rows as they are, and whose module asks the system for random numbers.
const CURIOUS: &str = r#"(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 16)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "wasmill:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 16))
  (func (export "wasmill:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) (i32.const 256))
  (func (export "wasmill:plugin/lifecycle@0.1.0#migrate") (param i32 i32 i32 i32 i32) (result i32) unreachable)
  (func (export "wasmill:plugin/transformer@0.1.0#transform")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $random (i32.const 512) (i32.const 8)))
    (i32.const 256))
  (data (i32.const 16) "\40\00\00\00\07\00\00\00\47\00\00\00\05\00\00\00")
  (data (i32.const 64) "VERSION"))"#;

/// Its component, of a version with five letters.
fn curious(dir: &Path, version: &str) -> Vec<u8> {
    let text = dir.join("curious.wat");
    fs::write(&text, CURIOUS.replace("VERSION", &format!("curious{version}"))).expect("it can be written");
    guests::of_text(&text)
}

/// A version that imports WASI, by hand and by a file → refused, with what is new, what it means, and how to approve it; what
/// ran goes on. Approved by hand → it takes over, and so does the next one without being approved again. A grant that does
/// not exist → refused with those that do.
#[test]
fn more_than_was_granted() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("p.wasm"), version("v0001")).expect("it can be written");
    fs::write(dir.path().join("job.toml"), job(&[("cents", "p.wasm")])).expect("it can be written");
    fs::write(dir.path().join("new.wasm"), curious(dir.path(), "0.1.0")).expect("it can be written");
    let mut stream = Stream::run(dir.path(), &["--watch"]);
    stream.assert_runs("v0001", 1);
    let swap = |more: &[&str]| {
        let (code, stdout, stderr) =
            output(wasmill(dir.path()).args(["swap", "job.toml", "cents", "new.wasm"]).args(more));
        (code, unwrapped(&(stdout + &stderr)))
    };
    let (code, text) = swap(&[]);
    assert_eq!(code, Some(2), "{text}");
    for words in [
        "asks for more than the one that runs was granted: + wasi: an empty WASI",
        "wasi:random/random@0.2",
        "`wasmill swap … --grant wasi`",
        "wasi = \"inert\"",
    ] {
        assert!(text.contains(words), "«{words}» is not in: {text}");
    }
    replace(&dir.path().join("p.wasm"), &curious(dir.path(), "0.2.0"));
    stream.says("watch: step cents: ");
    stream.says("--grant wasi");
    stream.assert_runs("v0001", 1);
    let (code, text) = swap(&["--grant", "clock"]);
    assert!(code == Some(2) && text.contains("there is no grant `clock`; there is: wasi"), "{text}");
    let (code, text) = swap(&["--grant", "wasi"]);
    assert!(code == Some(0) && text.contains("curious 0.1.0"), "{text}");
    assert_eq!(stream.feed(1).len(), 1);
    replace(&dir.path().join("p.wasm"), &curious(dir.path(), "0.3.0"));
    stream.says("watch: step cents: curious 0.3.0");
    stream.says("stood still for");
    assert_eq!(stream.feed(1).len(), 1);
    stream.end(&["cents"]);
    let (code, stdout, stderr) = output(wasmill(dir.path()).args(["inspect", "new.wasm"]));
    assert!(code == Some(0) && stdout.contains("  grant    wasi: an empty WASI"), "{stdout}{stderr}");
}
