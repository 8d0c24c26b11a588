//! Components that `wasmill build` does not make: of modules in WebAssembly text, and of C.

use super::{root, skipped};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use wasi_preview1_component_adapter_provider as wasi;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The exit code of a script whose tool cannot be had on this machine.
const CANNOT_BE_HAD: i32 = 77;

/// The component of a core module in text, of world `transform`.
pub fn of_text(file: &Path) -> Vec<u8> {
    let mut module = wat::parse_file(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join("wit")).expect("the contract parses");
    let guest = "package test:guest; world guest { include wasmill:plugin/transform@0.1.0; }";
    let package = resolve.push_str("guest.wit", guest).expect("the world parses");
    let world = resolve.select_world(&[package], Some("guest")).expect("the world is there");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata fits");
    of_module(&module)
}

/// The component of a core module that knows its world. Calls into the older WASI become calls into WASI 0.2.
fn of_module(module: &[u8]) -> Vec<u8> {
    let adapter = (wasi::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, wasi::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.adapter(adapter.0, adapter.1))
        .and_then(|mut encoder| encoder.encode())
        .unwrap_or_else(|error| panic!("make a component: {error:?}"))
}

/// Runs a build script of C plugins, which leaves core modules in `files`, and makes components of them there. `None`, and
/// a message, if zig cannot be had here.
pub fn of_c(script: &str, arguments: &[&Path], files: &[&Path]) -> Option<()> {
    let zig = zig()?;
    let mut command = Command::new(root().join(script));
    let output = command.args(arguments).env("ZIG", zig).env("WASM_TOOLS", "").output().expect("the script is there");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    for file in files {
        let module = std::fs::read(file).expect("the script wrote it");
        std::fs::write(file, of_module(&module)).expect("it can be written");
    }
    Some(())
}

/// The command that runs zig, which is installed if it is not there. With `WASMILL_REQUIRE_SERVERS` set it is a failure if
/// it cannot be had.
fn zig() -> Option<&'static str> {
    static ZIG: OnceLock<Option<String>> = OnceLock::new();
    let zig = ZIG.get_or_init(|| {
        let mut command = Command::new(root().join("tests/tools/zig.sh"));
        let output = command.stderr(Stdio::inherit()).output().expect("the script is there");
        let text = String::from_utf8_lossy(&output.stdout);
        let ready = text.trim().strip_prefix("READY ").map(str::to_owned);
        assert!(ready.is_some() || output.status.code() == Some(CANNOT_BE_HAD), "zig.sh failed, see above");
        ready
    });
    if zig.is_none() {
        assert!(std::env::var_os("WASMILL_REQUIRE_SERVERS").is_none(), "zig is required");
        skipped("needs zig, for guests in C");
    }
    zig.as_deref()
}
