//! Runs cargo for plugins, undisturbed by a cargo or a rustup that this program may itself run under.

use super::manifest::PluginCrate;
use super::toolchain::Toolchain;
use super::{TARGET, fault};
use serde::Deserialize;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wasmill_stream::{Error, Result};

/// A command that runs in `dir` and inherits nothing that an outer cargo, or a user for the host's own build, has set.
pub fn command(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    let inherited = std::env::vars_os().filter(|(name, _)| name.to_str().is_none_or(is_inherited));
    command.current_dir(dir).stdin(Stdio::null()).env_clear().envs(inherited);
    command
}

fn is_inherited(name: &str) -> bool {
    let network = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRY_", "CARGO_REGISTRIES_"];
    if name.starts_with("CARGO") {
        matches!(name, "CARGO_HOME" | "CARGO_BUILD_JOBS") || network.iter().any(|prefix| name.starts_with(prefix))
    } else if name.starts_with("RUSTUP_") {
        name != "RUSTUP_TOOLCHAIN"
    } else {
        !name.starts_with("RUST")
    }
}

/// The workspace of a plugin crate: it shares one lock file and one target folder.
#[derive(Deserialize)]
pub struct Workspace {
    /// Its folder.
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
}

impl Workspace {
    /// The workspace of this crate.
    pub fn of(plugin: &PluginCrate, toolchain: &Toolchain) -> Result<Self> {
        let output = toolchain
            .command(&plugin.dir)
            .args(["metadata", "--no-deps", "--format-version", "1", "--color", "never"])
            .output()
            .map_err(|error| fault(&plugin.dir, format!("run {}", toolchain.cargo.display())).with_source(error))?;
        if !output.status.success() {
            let reason = diagnostics(&String::from_utf8_lossy(&output.stderr));
            return Err(fault(&plugin.dir, format!("cargo cannot read the crate:\n{reason}")));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| fault(&plugin.dir, "understand cargo metadata").with_source(error))
    }

    /// Whether this crate belongs to it.
    pub fn has(&self, plugin: &PluginCrate) -> bool {
        self.packages.iter().any(|package| package.manifest_path.parent() == Some(&plugin.dir))
    }
}

/// Compiles plugins of one workspace to core modules under `target`.
pub fn build(
    plugins: &[&PluginCrate],
    workspace: &Workspace,
    toolchain: &Toolchain,
    target: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let mut command = toolchain.command(&workspace.root);
    command
        .args(["build", "--release", "--lib", "--color", "never", "--target", TARGET])
        .arg("--target-dir")
        .arg(target);
    for plugin in plugins {
        command.args(["--package", &plugin.package]);
    }
    command.args(&toolchain.build_arguments);
    let names = plugins.iter().map(|plugin| plugin.dir.display().to_string()).collect::<Vec<_>>().join(", ");
    let (done, lines) = run(command, progress).map_err(|error| {
        Error::invalid(format!("plugin {names}: run {}", toolchain.cargo.display())).with_source(error)
    })?;
    if done {
        return Ok(());
    }
    Err(Error::invalid(format!("plugin {names}: does not compile with {}:\n{}", toolchain.name, diagnostics(&lines))))
}

/// Runs a command to its end and says whether it succeeded. Its stderr comes back, and meanwhile line by line as progress.
pub fn run(mut command: Command, progress: &mut dyn FnMut(&str)) -> std::io::Result<(bool, String)> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut text = String::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            if is_status(&line) {
                progress(line.trim());
            }
            text.push_str(&line);
            text.push('\n');
        }
    }
    Ok((child.wait()?.success(), text))
}

/// What cargo and rustc have to say, without the lines on how far they are.
fn diagnostics(stderr: &str) -> String {
    let lines: Vec<_> = stderr.lines().filter(|line| !is_status(line)).collect();
    lines.join("\n").trim().to_owned()
}

/// Cargo's status lines start with a verb that ends in column 12.
fn is_status(line: &str) -> bool {
    let Some((verb, rest)) = line.split_at_checked(12) else { return false };
    let verb = verb.trim_start();
    verb.starts_with(|first: char| first.is_ascii_uppercase())
        && verb.chars().all(|letter| letter.is_ascii_alphabetic())
        && rest.starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings of an outer cargo, rustup or build stay outside; paths, proxies and registries come along.
    #[test]
    fn only_neutral_variables_are_inherited() {
        for name in ["CARGO", "CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTC", "RUSTUP_TOOLCHAIN"] {
            assert!(!is_inherited(name), "{name}");
        }
        for name in ["PATH", "HOME", "CARGO_HOME", "CARGO_HTTP_PROXY", "CARGO_REGISTRIES_MINE_TOKEN", "RUSTUP_HOME"] {
            assert!(is_inherited(name), "{name}");
        }
    }

    /// Of a failed build the compiler's words stay, with their indentation, and the list of crates goes.
    #[test]
    fn diagnostics_leave_out_status_lines() {
        let stderr = "   Compiling wasmill v0.1.0 (/p)\n    Blocking waiting for file lock\nerror: expected `;`\n  --> src/lib.rs:3:1\n   |\n3  | fn main\n   |        ^\n\nerror: could not compile\n";
        let kept =
            "error: expected `;`\n  --> src/lib.rs:3:1\n   |\n3  | fn main\n   |        ^\n\nerror: could not compile";
        assert_eq!(diagnostics(stderr), kept);
    }
}
