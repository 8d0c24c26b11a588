//! Makes WebAssembly components from the source of plugins. For Rust: finds a toolchain that can, runs cargo, wraps the
//! module. For JavaScript and Python: runs a tool that puts the language's engine and the source into a component.
//! Loading plugins, and checking them against a job, happens elsewhere.

mod cargo;
mod component;
mod debian;
mod javascript;
mod language;
mod manifest;
mod python;
mod script;
mod sdk;
mod stage;
mod toolbox;
mod toolchain;

use cargo::Workspace;
use language::Language;
use manifest::PluginCrate;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use toolchain::Toolchain;
use wasmill_stream::{Error, Result};

/// The only target that needs nothing of the host but the plugin contract.
const TARGET: &str = "wasm32-unknown-unknown";

/// Names the folder to compile in, if it is not to be the `target` folder of the plugin, or of its Rust workspace.
const TARGET_DIR_VARIABLE: &str = "WASMILL_PLUGIN_TARGET_DIR";

/// Builds of one process take turns; cargo's own lock makes those of several processes do so. Holds why rustup could not
/// install the target, so that it is asked once.
static BUILDS: Mutex<Option<String>> = Mutex::new(None);

/// Makes a component of the plugin in `dir`, whose path is returned. `progress` gets one line per step. When nothing has
/// changed this takes a fraction of a second.
pub fn build(dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let mut components = build_all(&[dir], progress)?;
    components.pop().ok_or_else(|| Error::internal(format!("nothing was built of {}", dir.display())))
}

/// Builds several plugins, with one run of cargo for all that share a Rust workspace. The components are in the order of
/// `dirs`.
pub fn build_all<P: AsRef<Path>>(dirs: &[P], progress: &mut dyn FnMut(&str)) -> Result<Vec<PathBuf>> {
    let target = std::env::var_os(TARGET_DIR_VARIABLE).filter(|dir| !dir.is_empty());
    // Cargo runs in the plugin's workspace, but a relative path is meant from here.
    let target = target.map(|dir| std::path::absolute(&dir).unwrap_or(dir.into()));
    build_into(dirs, target.as_deref(), progress)
}

/// Builds under `chosen_target`, or else in each plugin's or workspace's own `target` folder.
fn build_into<P: AsRef<Path>>(
    dirs: &[P],
    chosen_target: Option<&Path>,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>> {
    let languages = dirs.iter().map(|dir| Language::of(dir.as_ref())).collect::<Result<Vec<_>>>()?;
    let mut rustup_failure = BUILDS.lock().unwrap_or_else(PoisonError::into_inner);

    let mut components = vec![PathBuf::new(); dirs.len()];
    let (crates, scripts) = (0..dirs.len()).partition::<Vec<_>, _>(|&at| languages[at] == Language::Rust);
    let rust: Vec<_> = crates.iter().map(|&at| dirs[at].as_ref()).collect();
    let built = build_crates(&rust, chosen_target, &mut rustup_failure, progress)?;
    for (at, component) in crates.into_iter().zip(built) {
        components[at] = component;
    }
    for at in scripts {
        components[at] = script::build(dirs[at].as_ref(), languages[at], chosen_target, progress)?;
    }
    Ok(components)
}

/// Builds Rust plugins.
fn build_crates(
    dirs: &[&Path],
    chosen_target: Option<&Path>,
    rustup_failure: &mut Option<String>,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>> {
    let crates = dirs.iter().map(|dir| PluginCrate::read(dir)).collect::<Result<Vec<_>>>()?;
    let mut components = vec![PathBuf::new(); crates.len()];
    let mut waiting: Vec<usize> = (0..crates.len()).collect();
    while let Some(&first) = waiting.first() {
        let toolchain = Toolchain::find(&crates[first].dir, rustup_failure, progress)?;
        let workspace = Workspace::of(&crates[first], &toolchain)?;
        let (members, others) = waiting.into_iter().partition::<Vec<_>, _>(|&at| workspace.has(&crates[at]));
        let target = chosen_target.map_or_else(|| workspace.root.join("target"), Path::to_owned);
        let plugins: Vec<_> = members.iter().map(|&at| &crates[at]).collect();
        cargo::build(&plugins, &workspace, &toolchain, &target, progress)?;
        for at in members {
            components[at] = component::wrap(&crates[at], &target)?;
        }
        waiting = others;
    }
    Ok(components)
}

/// An error about the plugin in `dir`.
fn fault(dir: &Path, message: impl std::fmt::Display) -> Error {
    Error::invalid(format!("plugin {}: {message}", dir.display()))
}

#[cfg(test)]
mod tests;
