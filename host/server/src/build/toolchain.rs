//! Chooses what compiles a plugin: the user's Rust if it has the target or rustup can add it, else Debian's packaged Rust.

use super::{TARGET, cargo, debian};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasmill_stream::{Error, Result};

/// A cargo that can compile for WebAssembly, and how it must be called.
#[derive(Debug)]
pub struct Toolchain {
    /// For messages.
    pub name: &'static str,
    /// The program.
    pub cargo: PathBuf,
    /// What it needs in its environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// What `cargo build` needs to be told.
    pub build_arguments: Vec<&'static str>,
}

impl Toolchain {
    /// The first that works for the crate in `dir`, which may name its toolchain in a file. `rustup_failure` is why
    /// rustup has failed before in this process.
    pub fn find(dir: &Path, rustup_failure: &mut Option<String>, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        let without_target = match target_library(dir) {
            Some(library) if library.is_dir() => return Ok(Self::user()),
            Some(_) => "cargo has no such target",
            None => "no cargo on the PATH",
        };
        if rustup_failure.is_none() {
            match add_target(dir, progress) {
                Ok(()) => return Ok(Self::user()),
                Err(reason) => *rustup_failure = Some(reason),
            }
        }
        debian::toolchain(dir, progress).map_err(|no_debian| {
            let no_rustup = rustup_failure.as_deref().unwrap_or_default();
            Error::invalid(format!(
                "no Rust here can compile for {TARGET} ({without_target}; {no_rustup}; {no_debian}); \
                 run: rustup target add {TARGET}"
            ))
        })
    }

    fn user() -> Self {
        Self { name: "cargo", cargo: "cargo".into(), environment: Vec::new(), build_arguments: Vec::new() }
    }

    /// Its cargo, to be run in `dir`.
    pub fn command(&self, dir: &Path) -> Command {
        let mut command = cargo::command(&self.cargo, dir);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Where the user's rustc looks for the target's standard library, which need not be there.
fn target_library(dir: &Path) -> Option<PathBuf> {
    let output = cargo::command("rustc", dir).args(["--print", "target-libdir", "--target", TARGET]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().into())
}

/// Lets rustup install the target. The error says why it could not.
fn add_target(dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), String> {
    if cargo::command("rustup", dir).arg("--version").output().is_err() {
        return Err("no rustup on the PATH".into());
    }
    let mut command = cargo::command("rustup", dir);
    command.args(["target", "add", TARGET]);
    progress(&format!("Running rustup target add {TARGET}"));
    let (done, lines) = cargo::run(command, progress).map_err(|error| format!("rustup: {error}"))?;
    if !done {
        return Err(format!("rustup: {}", lines.trim().lines().last().unwrap_or("failed")));
    }
    let found = target_library(dir).is_some_and(|library| library.is_dir());
    if found { Ok(()) } else { Err("rustup added it to another toolchain than cargo's".into()) }
}
