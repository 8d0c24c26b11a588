//! Builds with the real tools: the project's plugins, and some so small that they build in a second.

mod scripts;

use super::*;
use wasmill_stream::ErrorKind;

/// A crate with this source; its folder is removed with the returned guard.
fn plugin(name: &str, manifest: &str, source: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let package =
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{manifest}\n[workspace]\n");
    std::fs::write(dir.path().join("Cargo.toml"), package).expect("write Cargo.toml");
    std::fs::create_dir(dir.path().join("src")).expect("create src");
    std::fs::write(dir.path().join("src/lib.rs"), source).expect("write lib.rs");
    dir
}

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins")
}

fn failure(dir: &Path) -> String {
    // Where the project's own plugins are compiled, a standard library built from source is there already.
    let target = plugins().join("target");
    let error = build_into(&[dir], Some(&target), &mut |_| {}).expect_err("the build fails");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let report = error.report();
    assert!(report.contains(&dir.display().to_string()), "the message names the folder: {report}");
    report
}

/// Plugins of one workspace become components, returned in the order asked for; a second build changes nothing on disk.
#[test]
fn plugins_become_components() {
    let dirs = ["pickup-count", "identity"].map(|name| plugins().join(name));
    let components = build_all(&dirs, &mut |_| {}).expect("the project's plugins can be built");
    let names: Vec<_> = components.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["pickup-count.wasm", "identity.wasm"]);
    let written = |path: &PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).expect("a component");
    let before: Vec<_> = components.iter().map(written).collect();
    assert_eq!(build_all(&dirs, &mut |_| {}).expect("nothing to do"), components);
    assert_eq!(components.iter().map(written).collect::<Vec<_>>(), before);
}

/// A folder that is no plugin crate is refused before cargo runs, with what is missing.
#[test]
fn folders_that_are_no_plugins() {
    let empty = tempfile::tempdir().expect("a temporary folder");
    assert!(failure(empty.path()).contains("there is no Cargo.toml (Rust), package.json"));
    let library = plugin("just-a-library", "", "");
    assert!(failure(library.path()).contains("crate-type = [\"cdylib\"]"));
    std::fs::write(library.path().join("Cargo.toml"), "[workspace]\n").expect("write Cargo.toml");
    assert!(failure(library.path()).contains("no [package]"));
    std::fs::write(library.path().join("Cargo.toml"), "[package\n").expect("write Cargo.toml");
    assert!(failure(library.path()).contains("its Cargo.toml is wrong"));
}

/// A plugin that does not compile fails with the compiler's message, source line and all.
#[test]
fn compile_errors_are_shown() {
    let broken = plugin("broken", "[lib]\ncrate-type = [\"cdylib\"]", "fn main() { let count: u32 = \"many\"; }");
    let report = failure(broken.path());
    assert!(report.contains("error[E0308]: mismatched types"), "{report}");
    assert!(report.contains("let count: u32 = \"many\";"), "{report}");
    assert!(!report.contains("Compiling"), "{report}");
}

/// A crate that compiles but exports nothing of the contract is refused, with what to write.
#[test]
fn modules_without_a_world() {
    let foreign =
        plugin("foreign", "[lib]\ncrate-type = [\"cdylib\"]", "#[unsafe(no_mangle)] pub extern \"C\" fn run() {}");
    let report = failure(foreign.path());
    assert!(report.contains("wasmill::transform!(…)"), "{report}");
}
