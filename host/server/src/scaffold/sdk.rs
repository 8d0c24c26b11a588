//! The Rust SDK as part of this program, for plugins outside a checkout of the project: it is on no registry, so that
//! it always fits the host that came with it. Its crates come from the registry, in the versions of our lock file.

use toml::{Table, Value};
use wasmill_stream::{Error, Result};

/// Files by their path below the folder of the SDK.
pub type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($root:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../", $root, $path)))),*]
    };
}

/// The source of the SDK, without its tests.
const RUST: Files = files!("plugins/sdk/rust/":
    "README.md",
    "derive/src/accumulator.rs",
    "derive/src/case.rs",
    "derive/src/fields.rs",
    "derive/src/lib.rs",
    "derive/src/outputs.rs",
    "derive/src/settings.rs",
    "src/accumulator.rs",
    "src/aggregator.rs",
    "src/aggregator/plugin.rs",
    "src/batch.rs",
    "src/bindings.rs",
    "src/emit.rs",
    "src/emit/part.rs",
    "src/emit/writer.rs",
    "src/failure.rs",
    "src/key.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/metrics.rs",
    "src/process.rs",
    "src/process/context.rs",
    "src/process/player.rs",
    "src/process/plugin.rs",
    "src/process/trial.rs",
    "src/row.rs",
    "src/row/field.rs",
    "src/settings.rs",
    "src/settings/problem.rs",
    "src/settings/schema.rs",
    "src/settings/value.rs",
    "src/time.rs",
    "src/time/iso.rs",
    "src/transform.rs",
    "src/transform/plugin.rs",
    "src/window.rs",
);

/// The contract, from which the SDK makes its bindings.
const WIT: Files = files!("wit/": "aggregator.wit", "lifecycle.wit", "log.wit", "metrics.wit", "process.wit", "transform.wit", "types.wit");

const MANIFEST: &str = include_str!("../../../../plugins/sdk/rust/Cargo.toml");
const DERIVE_MANIFEST: &str = include_str!("../../../../plugins/sdk/rust/derive/Cargo.toml");
const WORKSPACE: &str = include_str!("../../../../plugins/Cargo.toml");

/// The versions of all crates that the SDK was tested with.
pub const LOCK: &str = include_str!("../../../../plugins/Cargo.lock");

/// Where the SDK lies below the folder that [`copy`] fills: as deep as in the project, for it looks for the contract
/// from there.
pub const PLACE: &str = "plugins/sdk/rust";

/// All files of a copy of the SDK that stands by itself, by path.
pub fn copy() -> Result<Vec<(String, String)>> {
    let within = |folder: &'static str| {
        move |(path, text): &(&'static str, &'static str)| (format!("{folder}/{path}"), (*text).to_owned())
    };
    let mut files: Vec<_> = RUST.iter().map(within(PLACE)).chain(WIT.iter().map(within("wit"))).collect();
    for (path, manifest) in [("Cargo.toml", MANIFEST), ("derive/Cargo.toml", DERIVE_MANIFEST)] {
        files.push((format!("{PLACE}/{path}"), alone(manifest, WORKSPACE)?));
    }
    Ok(files)
}

/// A manifest that needs no workspace: what it takes from there stands in it, what is for the SDK's own tests does not.
fn alone(manifest: &str, workspace: &str) -> Result<String> {
    let broken = |error: toml::de::Error| Error::internal("read the manifest of the embedded SDK").with_source(error);
    let mut manifest: Table = manifest.parse().map_err(broken)?;
    let workspace: Table = workspace.parse().map_err(broken)?;
    let of_workspace = |group: &str| workspace.get("workspace").and_then(|table| table.get(group));
    for group in ["package", "dependencies"] {
        let Some(entries) = manifest.get_mut(group).and_then(Value::as_table_mut) else { continue };
        for (name, entry) in entries.iter_mut() {
            if entry.get("workspace").is_some() {
                let value = of_workspace(group).and_then(|table| table.get(name));
                let missing = || Error::internal(format!("the embedded SDK takes `{name}` from nowhere"));
                *entry = value.cloned().ok_or_else(missing)?;
            }
        }
    }
    manifest.remove("dev-dependencies");
    manifest.remove("lints");
    toml::to_string(&manifest)
        .map_err(|error| Error::internal("write the manifest of the embedded SDK").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Every source file of the SDK and of the contract is embedded: one that was forgotten would break plugins
    /// elsewhere only.
    #[test]
    fn nothing_is_forgotten() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (folder, ending, files) in [("plugins/sdk/rust", "rs", RUST), ("wit", "wit", WIT)] {
            let mut there = Vec::new();
            list(&root.join(folder), "", ending, &mut there);
            there.sort();
            let listed: Vec<_> = files.iter().map(|(path, _)| *path).filter(|path| *path != "README.md").collect();
            assert_eq!(there, listed, "{folder}");
        }
    }

    fn list(folder: &Path, under: &str, ending: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the project").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() && name != "tests" && name != "target" {
                list(&path, &format!("{under}{name}/"), ending, found);
            } else if name.ends_with(&format!(".{ending}")) && name != "tests.rs" {
                found.push(format!("{under}{name}"));
            }
        }
    }

    /// The copy takes nothing from a workspace, and brings what cargo needs.
    #[test]
    fn manifests_stand_alone() {
        let files = copy().expect("the SDK");
        let manifests: Vec<_> = files.iter().filter(|(path, _)| path.ends_with("Cargo.toml")).collect();
        assert_eq!(manifests.len(), 2);
        for (path, text) in manifests {
            let manifest: Table = text.parse().expect(path);
            assert!(!text.contains("workspace"), "{path}: {text}");
            assert_eq!(manifest["package"]["edition"].as_str(), Some("2024"), "{path}");
        }
    }
}
