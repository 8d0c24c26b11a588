//! Names of stored objects. They become paths of files and keys of objects, so that nothing else may pass.

use wasmill_stream::{Error, Result};

/// The longest file name that every usual file system takes.
const LONGEST: usize = 255;

/// Checks the name of an object.
pub(super) fn check(name: &str) -> Result<()> {
    if name.split('/').all(|segment| !segment.is_empty() && is_segment(segment)) {
        return Ok(());
    }
    Err(refused(name))
}

/// Splits the beginning of names into the folder in which all of them lie and the beginning of what is inside.
pub(super) fn split_prefix(prefix: &str) -> Result<(&str, &str)> {
    let (folder, rest) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    if !folder.is_empty() {
        check(folder)?;
    }
    if prefix.starts_with('/') || !is_segment(rest) {
        return Err(refused(prefix));
    }
    Ok((folder, rest))
}

/// Whether this may stand between two slashes. A dot at the beginning is for the store itself, and for `..`.
fn is_segment(segment: &str) -> bool {
    let is_ours = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    segment.len() <= LONGEST && !segment.starts_with('.') && segment.bytes().all(is_ours)
}

fn refused(name: &str) -> Error {
    Error::invalid(format!("\"{name}\" is no name of a checkpoint object: expected [a-z0-9._-] and /, no leading dot"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What could leave the folder, or would be written in two ways, is refused.
    #[test]
    fn names() {
        for good in ["a", "state/00-ff.seg", "manifest.000042", "a.b_c/d-e"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "a".repeat(LONGEST + 1);
        for bad in ["", ".", "..", "../a", "a/../b", "/a", "a/", "a//b", ".tmp", "a/.b", "A", "a b", "a\\b", "ä", &long]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    /// A prefix may end anywhere in a name.
    #[test]
    fn prefixes() {
        assert_eq!(split_prefix("").ok(), Some(("", "")));
        assert_eq!(split_prefix("man").ok(), Some(("", "man")));
        assert_eq!(split_prefix("state/a/").ok(), Some(("state/a", "")));
        assert_eq!(split_prefix("state/a/b").ok(), Some(("state/a", "b")));
        for bad in ["/", "/a", "../", "a/../b", "a//b", ".t"] {
            assert!(split_prefix(bad).is_err(), "{bad}");
        }
    }
}
