//! In which folders a path can change: the one that it is in, and, for every link on its way, the one that the link is in
//! and the one that it leads to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// More links than the system follows, too.
const MOST_LINKS: usize = 40;

/// The folders, without links, of which all exist.
pub fn of(path: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..=MOST_LINKS {
        folders.extend(nearest_folder(&path));
        let Some((link, target)) = first_link(&path) else { break };
        folders.extend(nearest_folder(&link));
        path = target;
    }
    folders
}

/// The folder that a path is in, or would be in if those between were there.
fn nearest_folder(path: &Path) -> Option<PathBuf> {
    path.ancestors().skip(1).find_map(|folder| folder.canonicalize().ok().filter(|folder| folder.is_dir()))
}

/// The first link on the way of a path, and the path with that link followed.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut ancestors: Vec<_> = path.ancestors().collect();
    ancestors.reverse();
    ancestors.into_iter().find_map(|link| {
        let target = link.read_link().ok()?;
        let followed = link.parent().unwrap_or(link).join(target);
        let rest = path.strip_prefix(link).unwrap_or(Path::new(""));
        let followed = if rest.as_os_str().is_empty() { followed } else { followed.join(rest) };
        Some((link.to_owned(), followed))
    })
}
