//! Finds the checkout of the repository that the demo's plugins are built from.

use super::JOB_PATH;
use std::path::{Path, PathBuf};
use wasmill_stream::{Error, Result};

/// The root of the checkout around the working folder, around this program, or where this program was compiled.
pub fn find() -> Result<PathBuf> {
    let here = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    let compiled = Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    let around = |start: PathBuf| start.ancestors().find(|dir| is_checkout(dir)).map(Path::to_owned);
    let root = [here.clone(), program, compiled].into_iter().flatten().find_map(around).ok_or_else(|| {
        Error::invalid(
            "the demo builds its plugins from their source, which is not here: \
             run it in a clone of the wasmill repository (the folder with Cargo.toml, plugins and examples)",
        )
    })?;
    // A short path reads better wherever the demo names it.
    match here.and_then(|here| root.strip_prefix(here).map(Path::to_owned).ok()) {
        Some(relative) => Ok(relative),
        None => Ok(root),
    }
}

fn is_checkout(dir: &Path) -> bool {
    dir.join(JOB_PATH).is_file() && dir.join("plugins/pickup-cell/Cargo.toml").is_file()
}
