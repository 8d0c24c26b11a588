//! Debian's packaged Rust, for machines whose Rust cannot get the target: it has no ready standard library for
//! WebAssembly either, but its source, from which cargo compiles one the first time.

use super::cargo;
use super::toolchain::Toolchain;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CARGO: &str = "/usr/bin/cargo";
const RUSTC: &str = "/usr/bin/rustc";
const SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const LINKER_PACKAGE: &str = "lld-19";

/// The first minor version of Rust 1 that compiles the plugin SDK.
const OLDEST: u32 = 88;

/// Debian's Rust, installed if this may be done. The error says what is missing.
pub fn toolchain(dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<Toolchain, String> {
    let mut packages = if is_complete(dir) { Vec::new() } else { PACKAGES.to_vec() };
    if linker().is_none() {
        packages.push(LINKER_PACKAGE);
    }
    if !packages.is_empty() {
        install(&packages, dir, progress)?;
    }
    let linker = linker().ok_or_else(|| format!("no wasm-ld after the installation of {LINKER_PACKAGE}"))?;
    if !is_complete(dir) {
        return Err(format!("{CARGO}, {RUSTC} and their source do not fit after the installation"));
    }
    Ok(Toolchain {
        name: CARGO,
        cargo: CARGO.into(),
        environment: vec![
            ("RUSTC", RUSTC.into()),
            // Building the standard library is not yet stable in cargo.
            ("RUSTC_BOOTSTRAP", "1".into()),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker.into()),
        ],
        build_arguments: vec!["-Zbuild-std=std,panic_abort"],
    })
}

/// Whether cargo, a recent rustc, and the source of the standard library are there.
fn is_complete(dir: &Path) -> bool {
    let version = cargo::command(RUSTC, dir).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    Path::new(CARGO).exists() && Path::new(SOURCE).exists() && minor(&version).is_some_and(|minor| minor >= OLDEST)
}

/// `96` of `rustc 1.96.0 (built from a source tarball)`.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}

/// A linker for WebAssembly: the one that rustup brings along, or Debian's.
fn linker() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".rustup"));
    let rustup = std::env::var_os("RUSTUP_HOME").map(PathBuf::from).or(home).unwrap_or_default();
    let hosts = entries(&rustup.join("toolchains")).into_iter().flat_map(|dir| entries(&dir.join("lib/rustlib")));
    let of_rustup = hosts.map(|dir| dir.join("bin/rust-lld"));
    let of_debian = entries(Path::new("/usr/lib")).into_iter().map(|dir| dir.join("bin/wasm-ld"));
    of_debian.chain(of_rustup).rfind(|linker| linker.exists())
}

/// The entries of a folder in the order of their names; none if it cannot be read.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn install(packages: &[&str], dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), String> {
    let wanted = packages.join(" ");
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err("no apt-get to install Debian's Rust".into());
    }
    if !is_root {
        return Err(format!("only root may run: apt-get install {wanted}"));
    }
    let install = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    for arguments in [vec!["update"], install] {
        progress(&format!("Running apt-get {}", arguments.join(" ")));
        let mut command = cargo::command("/usr/bin/apt-get", dir);
        command.env("DEBIAN_FRONTEND", "noninteractive").args(&arguments);
        let (done, lines) = cargo::run(command, progress).map_err(|error| format!("apt-get: {error}"))?;
        if !done {
            let reason = lines.trim().lines().last().unwrap_or("failed");
            return Err(format!("apt-get {}: {reason}", arguments[0]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Debian's old and new compilers are told apart by their version line.
    #[test]
    fn version_lines_are_read() {
        assert_eq!(minor("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\n"), Some(96));
        assert_eq!(minor("rustc 1.63.0\n"), Some(63));
        assert_eq!(minor(""), None);
    }
}
