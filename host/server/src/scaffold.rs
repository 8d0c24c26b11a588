//! New plugin projects: small, useful, and ready to be built and tested. `language` has the templates, `sdk` the Rust
//! SDK.

mod language;
mod sdk;

pub use language::Language;

use std::path::{Component, Path, PathBuf};
use wasmill_plugin::Kind;
use wasmill_stream::{Error, Result};

/// The folder of a project in which the Rust SDK lies, if it is nowhere else.
const SDK_FOLDER: &str = ".wasmill";

/// Names that cargo refuses, or that collide with crates which every plugin has.
const TAKEN: [&str; 16] = [
    "abstract",
    "alloc",
    "async",
    "const",
    "core",
    "crate",
    "extern",
    "proc-macro",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "wasmill",
];

/// What a project is to be.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Its folder, which must not exist; the last part is the name of the plugin.
    pub folder: &'a Path,
    /// In which language.
    pub language: Language,
    /// For what.
    pub kind: Kind,
    /// Where the Rust SDK is. `None`: in the checkout of the project around the folder, if there is one, else in the
    /// project.
    pub sdk: Option<&'a Path>,
}

/// Writes the project and returns the name of the plugin. When that fails, what was written is removed.
pub fn create(plan: &Plan<'_>) -> Result<String> {
    let Plan { folder, language, kind, .. } = plan;
    let name = name_of(folder)?;
    if plan.sdk.is_some() && *language != Language::Rust {
        let title = language.title();
        return Err(Error::invalid(format!("--sdk is for Rust; the {title} SDK is part of `wasmill build`")));
    }
    if folder.symlink_metadata().is_ok() {
        return Err(Error::invalid(format!("{} is there already; choose another name", folder.display())));
    }
    let files = files(plan, &name, *language, *kind)?;
    write(folder, &files).inspect_err(|_| {
        // It was not there before. If it cannot be removed, the error below still says what went wrong.
        let _ = std::fs::remove_dir_all(folder);
    })?;
    Ok(name)
}

/// Small letters, digits and `-`, as cargo, npm and pip all take it.
fn name_of(folder: &Path) -> Result<String> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let is_good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(is_plain)
        && !name.ends_with('-')
        && name.len() <= 64;
    if !is_good {
        return Err(Error::invalid(format!(
            "`{name}` cannot name a plugin; a name has at most 64 small letters, digits and `-`, such as slow-requests"
        )));
    }
    if TAKEN.contains(&name.as_str()) {
        return Err(Error::invalid(format!("the name `{name}` is taken by Rust or by the SDK; choose another one")));
    }
    Ok(name)
}

/// All files of the project, by path.
fn files(plan: &Plan<'_>, name: &str, language: Language, kind: Kind) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let sdk = match (language, plan.sdk) {
        (Language::Rust, Some(sdk)) => given_sdk(sdk, plan.folder)?,
        (Language::Rust, None) => match checkout(plan.folder) {
            Some(sdk) => sdk,
            None => {
                let copy = sdk::copy()?.into_iter().map(|(path, text)| (format!("{SDK_FOLDER}/{path}"), text));
                files.extend(copy);
                PathBuf::from(SDK_FOLDER).join(sdk::PLACE)
            }
        },
        _ => PathBuf::new(),
    };
    let example = language::example(kind);
    let (step, sdk) = (name.replace('-', "_"), toml_text(&sdk.to_string_lossy()));
    let fill = |text: &str| {
        let names = [
            ("{{name}}", name),
            ("{{step}}", step.as_str()),
            ("{{sdk}}", sdk.as_str()),
            ("{{kind}}", kind.world()),
            ("{{language}}", language.title()),
            ("{{source}}", language.source()),
            ("{{about}}", example.about),
            ("{{settings}}", example.settings),
        ];
        names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    };
    let templates = language.templates(kind);
    let readme = [("README.md", include_str!("scaffold/templates/README.md.txt"))];
    let templates = templates.iter().chain(example.cases).chain(&readme);
    files.extend(templates.map(|(path, text)| ((*path).to_owned(), fill(text))));
    if language == Language::Rust {
        files.push(("Cargo.lock".to_owned(), sdk::LOCK.to_owned()));
    }
    Ok(files)
}

/// The inside of a TOML string.
fn toml_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn write(folder: &Path, files: &[(String, String)]) -> Result<()> {
    for (path, text) in files {
        let path = folder.join(path);
        let unwritable = |error| Error::invalid(format!("write {}", path.display())).with_source(error);
        std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(unwritable)?;
        std::fs::write(&path, text).map_err(unwritable)?;
    }
    Ok(())
}

// === where the Rust SDK is ===

/// The path of the SDK that the user names, as it must be written in the manifest.
fn given_sdk(sdk: &Path, folder: &Path) -> Result<PathBuf> {
    if !is_sdk(sdk) {
        let message = format!("{} is not the Rust SDK; expected the folder plugins/sdk/rust of wasmill", sdk.display());
        return Err(Error::invalid(message));
    }
    if sdk.is_absolute() {
        return Ok(sdk.to_owned());
    }
    let unknown = |error| Error::invalid(format!("find {}", sdk.display())).with_source(error);
    let (sdk, folder) = (std::path::absolute(sdk).map_err(unknown)?, std::path::absolute(folder).map_err(unknown)?);
    Ok(relative(&folder, &sdk))
}

/// The SDK in the checkout of the project that the folder lies in.
fn checkout(folder: &Path) -> Option<PathBuf> {
    let folder = std::path::absolute(folder).ok()?;
    let sdk = folder.ancestors().skip(1).map(|above| above.join(sdk::PLACE)).find(|sdk| is_sdk(sdk))?;
    Some(relative(&folder, &sdk))
}

fn is_sdk(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok();
    let manifest = manifest.and_then(|text| text.parse::<toml::Table>().ok());
    let name = manifest.as_ref().and_then(|manifest| manifest.get("package")?.get("name")?.as_str());
    name == Some("wasmill")
}

/// The way from one folder to another. Both are absolute.
fn relative(from: &Path, to: &Path) -> PathBuf {
    // `..` in between would lead elsewhere if it went through a link.
    let plain = |path: &Path| path.components().all(|part| part != Component::ParentDir);
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    if !plain(from) || !plain(to) {
        return to.to_owned();
    }
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests;
