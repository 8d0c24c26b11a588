//! Every plugin of the repository as a component, built once per run.

use super::root;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use wasmill_server::build;

/// The component of the plugin with its source in `plugins/NAME`.
pub fn component(name: &str) -> PathBuf {
    built(&root().join("plugins").join(name))
}

/// The component of the plugin with its source in `dir`.
pub fn built(dir: &Path) -> PathBuf {
    static COMPONENTS: OnceLock<BTreeMap<PathBuf, PathBuf>> = OnceLock::new();
    let components = COMPONENTS.get_or_init(build_all);
    let dir = dir.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    components.get(&dir).unwrap_or_else(|| panic!("{} is no plugin", dir.display())).clone()
}

fn build_all() -> BTreeMap<PathBuf, PathBuf> {
    let folder = root().join("plugins").canonicalize().expect("plugins/ is there");
    let mut dirs = Vec::new();
    for folder in [folder.clone(), folder.join("hostile"), folder.join("versions"), folder.join("conformance/rust")] {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        dirs.extend(entries.map(|entry| entry.expect("it can be read").path()).filter(|dir| is_plugin(dir)));
    }
    let components = build::build_all(&dirs, &mut |line| eprintln!("{line}"));
    let components = components.unwrap_or_else(|error| panic!("build plugins: {}", error.report()));
    dirs.into_iter().zip(components).collect()
}

/// Crates that plugins share lie beside them.
fn is_plugin(dir: &Path) -> bool {
    std::fs::read_to_string(dir.join("Cargo.toml")).is_ok_and(|manifest| manifest.contains("cdylib"))
}
