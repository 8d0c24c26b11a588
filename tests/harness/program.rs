//! The real `wasmill` program, as a user starts it.

use super::root;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// A command that starts the program in `dir`. It is built if it is not up to date.
pub fn wasmill(dir: &Path) -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(PROGRAM.get_or_init(build));
    command.current_dir(dir).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs a command to its end and returns its exit code, standard output and standard error.
pub fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
}

/// The words of a message, without the drawing and the line breaks that are for terminals.
pub fn unwrapped(text: &str) -> String {
    text.split_whitespace().filter(|word| !["│", "|"].contains(word)).collect::<Vec<_>>().join(" ")
}

/// Sends a child what Ctrl-C sends.
pub fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill is there").success(), "the child still runs");
}

/// Cargo builds the programs of a package for the tests of that package only, so it is asked here for those: with the features
/// that everything has in `cargo test`, so that nothing is compiled twice.
fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile_dir = test.ancestors().nth(2).expect("tests lie in TARGET/PROFILE/deps");
    let target_dir = profile_dir.parent().expect("tests lie in TARGET/PROFILE/deps");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args([
        "test",
        "--workspace",
        "--no-run",
        "--quiet",
        "--test",
        "program",
        "--target-dir",
    ]);
    command.arg(target_dir);
    if profile_dir.ends_with("release") {
        command.arg("--release");
    }
    assert!(command.status().expect("cargo is there").success(), "the program does not build");
    profile_dir.join("wasmill")
}
