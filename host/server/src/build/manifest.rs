//! What a build must know of a plugin crate, read from its `Cargo.toml` before cargo is asked for anything.

use super::fault;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use wasmill_stream::Result;

/// A plugin crate.
#[derive(Debug)]
pub struct PluginCrate {
    /// Its folder, without symbolic links.
    pub dir: PathBuf,
    /// The name of its package.
    pub package: String,
    /// The file that cargo compiles it to.
    pub module: String,
}

#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
    #[serde(default)]
    lib: Library,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Deserialize, Default)]
struct Library {
    name: Option<String>,
    #[serde(default, rename = "crate-type")]
    crate_types: Vec<String>,
}

impl PluginCrate {
    /// The crate in `dir`. The error says what keeps it from being a plugin.
    pub fn read(dir: &Path) -> Result<Self> {
        let file = dir.join("Cargo.toml");
        let text = std::fs::read_to_string(&file).map_err(|error| fault(dir, "read Cargo.toml").with_source(error))?;
        let manifest: Manifest =
            toml::from_str(&text).map_err(|error| fault(dir, format!("its Cargo.toml is wrong: {error}")))?;
        let Some(Package { name: package }) = manifest.package else {
            return Err(fault(dir, "its Cargo.toml has no [package]; name the folder of one plugin"));
        };
        if !manifest.lib.crate_types.iter().any(|kind| kind == "cdylib") {
            return Err(fault(dir, "crate is no plugin; add to its Cargo.toml: [lib] crate-type = [\"cdylib\"]"));
        }
        let library = manifest.lib.name.unwrap_or_else(|| package.replace('-', "_"));
        let dir = dir.canonicalize().map_err(|error| fault(dir, "find its folder").with_source(error))?;
        Ok(Self { dir, package, module: format!("{library}.wasm") })
    }
}
