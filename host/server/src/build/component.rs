//! Wraps the core module that cargo made into a component, checks that components are of the contract, and puts them where
//! nobody sees them half written.

use super::manifest::PluginCrate;
use super::{TARGET, fault};
use std::path::{Path, PathBuf};
use wasmill_stream::Result;
use wit_component::{ComponentEncoder, DecodedWasm};

/// The interfaces of which a plugin exports one: each stands for a world of the contract.
const LOGIC: [&str; 3] =
    ["wasmill:plugin/transformer@0.1.0", "wasmill:plugin/aggregation@0.1.0", "wasmill:plugin/processing@0.1.0"];

/// The component of a compiled plugin. The file is left alone if it would not change.
pub fn wrap(plugin: &PluginCrate, target: &Path) -> Result<PathBuf> {
    let module = target.join(TARGET).join("release").join(&plugin.module);
    let bytes = std::fs::read(&module)
        .map_err(|error| fault(&plugin.dir, format!("read {}", module.display())).with_source(error))?;
    let component = encode(&bytes).map_err(|reason| fault(&plugin.dir, reason))?;
    let path = target.join("wasmill").join(format!("{}.wasm", plugin.package));
    write(&path, &component)
        .map_err(|error| fault(&plugin.dir, format!("write {}", path.display())).with_source(error))?;
    Ok(path)
}

/// A plain `Err` text is what is wrong with the plugin.
fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let component = ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| format!("make a component of its module: {error:#}"))?;
    check(&component).map_err(|reason| {
        format!(
            "{reason}; write wasmill::transform!(…), wasmill::aggregator!(…) or wasmill::process!(…) once in its lib.rs"
        )
    })?;
    Ok(component)
}

/// Checks that a component exports the logic of one world.
pub fn check(component: &[u8]) -> Result<(), String> {
    let exports = exports(component)?;
    if exports.iter().filter(|name| LOGIC.contains(&name.as_str())).count() == 1 {
        return Ok(());
    }
    let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    Err(format!("its component exports {found}, but a plugin exports one of {}", LOGIC.join(", ")))
}

/// The names of what a component exports.
fn exports(component: &[u8]) -> Result<Vec<String>, String> {
    match wit_component::decode(component).map_err(|error| format!("read its component: {error:#}"))? {
        DecodedWasm::Component(resolve, world) => {
            Ok(resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key)).collect())
        }
        DecodedWasm::WitPackage(..) => Ok(Vec::new()),
    }
}

/// Replaces the file at one stroke, so that a reader sees the old or the new component. Leaves equal content alone.
pub fn write(path: &Path, component: &[u8]) -> std::io::Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == component) {
        return Ok(());
    }
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
    std::fs::write(&draft, component)?;
    std::fs::rename(&draft, path)
}
