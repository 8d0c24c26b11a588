//! In which language a plugin is written, told by the manifest in its folder.

use super::fault;
use std::path::Path;
use wasmill_stream::Result;

/// A language that plugins are built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Cargo.toml
    Rust,
    /// package.json
    JavaScript,
    /// pyproject.toml
    Python,
}

impl Language {
    const ALL: [Self; 3] = [Self::Rust, Self::JavaScript, Self::Python];

    /// The file that a plugin folder has at its top.
    pub const fn manifest(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::JavaScript => "package.json",
            Self::Python => "pyproject.toml",
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
        }
    }

    /// The language of the plugin in `dir`.
    pub fn of(dir: &Path) -> Result<Self> {
        let found: Vec<_> = Self::ALL.into_iter().filter(|language| dir.join(language.manifest()).is_file()).collect();
        match found[..] {
            [language] => Ok(language),
            [] => {
                Err(fault(dir, format!("there is no {}; expected the folder of one plugin", listed(&Self::ALL, "or"))))
            }
            _ => Err(fault(
                dir,
                format!(
                    "there are {}, so its language is not clear; move what belongs to another project out",
                    listed(&found, "and")
                ),
            )),
        }
    }
}

/// `Cargo.toml (Rust), package.json (JavaScript) or pyproject.toml (Python)`
fn listed(languages: &[Language], last: &str) -> String {
    let mut text = String::new();
    for (at, language) in languages.iter().enumerate() {
        let separator = if at == 0 {
            String::new()
        } else if at + 1 == languages.len() {
            format!(" {last} ")
        } else {
            ", ".to_owned()
        };
        text += &format!("{separator}{} ({})", language.manifest(), language.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One manifest tells the language; none, or two, are an error that names what was found and expected.
    #[test]
    fn manifests_tell_the_language() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let language = || Language::of(dir.path()).map_err(|error| error.report());
        let none = language().expect_err("no manifest");
        assert!(none.ends_with("there is no Cargo.toml (Rust), package.json (JavaScript) or pyproject.toml (Python); expected the folder of one plugin"), "{none}");
        for (language_there, other) in [(Language::Python, Language::Rust), (Language::JavaScript, Language::Python)] {
            std::fs::write(dir.path().join(language_there.manifest()), "").expect("write a manifest");
            assert_eq!(language(), Ok(language_there));
            std::fs::write(dir.path().join(other.manifest()), "").expect("write another");
            let both = language().expect_err("two manifests");
            assert!(both.contains(" and ") && both.contains(other.manifest()), "{both}");
            std::fs::remove_file(dir.path().join(other.manifest())).expect("remove it");
            std::fs::remove_file(dir.path().join(language_there.manifest())).expect("remove it");
        }
    }
}
