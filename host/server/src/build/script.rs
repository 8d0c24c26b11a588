//! Builds plugins of script languages: what JavaScript and Python have in common. Each says what goes into its stage and how
//! its tool is run; here is when that has to happen, and where the component goes.

use super::language::Language;
use super::stage::{Stage, Staged};
use super::toolbox::{self, Tool};
use super::{component, fault, javascript, python};
use std::path::{Path, PathBuf};
use std::process::Command;
use wasmill_stream::Result;

/// A plugin, as far as its manifest and its files tell.
pub struct Script {
    /// Its folder.
    pub dir: PathBuf,
    /// Its name in the manifest.
    pub name: String,
    /// The world that it says it implements.
    pub kind: Kind,
    /// Everything that its component is made from.
    pub stage: Stage,
    /// What makes the component.
    pub tool: &'static Tool,
    /// The command for the tool in this folder, to write this file.
    pub command: fn(&Script, &Path, &Staged, &Path) -> Command,
    /// What of the tool's words is for the plugin's author.
    pub explain: fn(&str) -> String,
}

/// The world of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Stateless logic.
    Transform,
    /// Windowed logic.
    Aggregator,
    /// Keyed logic with timers.
    Process,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Transform, Self::Aggregator, Self::Process];

    /// Its name in manifests and in the contract.
    pub const fn world(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Aggregator => "aggregator",
            Self::Process => "process",
        }
    }

    /// What a component of this world exports besides `lifecycle`, in kebab case as in the contract.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Transform => "transformer",
            Self::Aggregator => "aggregation",
            Self::Process => "processing",
        }
    }

    /// The kind that a manifest names. `how` shows how to write it there.
    pub fn read(dir: &Path, named: Option<&str>, how: &str) -> Result<Self> {
        let kinds = "transform, aggregator or process";
        let Some(named) = named else {
            return Err(fault(dir, format!("its kind is not declared; write {how}, where the kind is {kinds}")));
        };
        let found = Self::ALL.into_iter().find(|kind| kind.world() == named);
        found.ok_or_else(|| fault(dir, format!("unknown kind {named:?}; expected {kinds}")))
    }
}

/// The component of the plugin in `dir`, made anew if a source, the SDK, the contract or the tool has changed.
pub fn build(
    dir: &Path,
    language: Language,
    chosen_target: Option<&Path>,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf> {
    let dir = dir.canonicalize().map_err(|error| fault(dir, "find its folder").with_source(error))?;
    let target = chosen_target.map_or_else(|| dir.join("target"), Path::to_owned);
    let script = if language == Language::JavaScript { javascript::read(dir) } else { python::read(dir) }?;
    let stem = file_stem(&script.dir, &script.name)?;
    // Plugins of one name in two languages may share a target folder.
    let folder = target.join("wasmill").join(language.name().to_lowercase());
    let (path, note) = (folder.join(format!("{stem}.wasm")), folder.join(format!("{stem}.digest")));
    let digest = script.stage.digest(&script.tool.label());
    if path.is_file() && std::fs::read_to_string(&note).is_ok_and(|noted| noted == digest) {
        return Ok(path);
    }
    let tool = script.tool.find(language.name(), progress)?;
    progress(&format!("Compiling {} ({})", script.name, script.tool.label()));
    let unwritable = |error| fault(&script.dir, format!("write below {}", folder.display())).with_source(error);
    let staged = script.stage.write(folder.join(format!("{stem}.{}.stage", std::process::id()))).map_err(unwritable)?;
    let component = compile(&script, &tool, &staged)?;
    // Until the component is there, nothing says that it is up to date.
    match std::fs::remove_file(&note) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unwritable(error)),
        _ => {}
    }
    component::write(&path, &component).and_then(|()| std::fs::write(&note, digest)).map_err(unwritable)?;
    Ok(path)
}

fn compile(script: &Script, tool: &Path, staged: &Staged) -> Result<Vec<u8>> {
    let draft = staged.join("component.wasm");
    toolbox::run((script.command)(script, tool, staged, &draft).current_dir(staged.dir())).map_err(|text| {
        fault(&script.dir, format!("does not build with {}:\n{}", script.tool.label(), (script.explain)(&text)))
    })?;
    let component = std::fs::read(&draft).map_err(|error| {
        fault(&script.dir, format!("{} wrote no component", script.tool.label())).with_source(error)
    })?;
    component::check(&component).map_err(|reason| fault(&script.dir, reason))?;
    Ok(component)
}

/// The name as that of a file: `@team/orders` becomes `team-orders`.
fn file_stem(dir: &Path, name: &str) -> Result<String> {
    let stem = name.trim_start_matches('@').replace('/', "-");
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if stem.is_empty() || stem.starts_with('.') || !stem.chars().all(is_plain) {
        return Err(fault(dir, format!("its name {name:?} cannot name a file; use letters, digits, `-` and `_`")));
    }
    Ok(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kind is one of three, and must be declared: each mistake says how.
    #[test]
    fn kinds_are_declared() {
        let read = |named| Kind::read(Path::new("p"), named, "kind = \"…\"").map_err(|error| error.report());
        assert_eq!(read(Some("process")), Ok(Kind::Process));
        let unknown = read(Some("filter")).expect_err("no such kind");
        assert!(unknown.contains("\"filter\"") && unknown.contains("transform, aggregator or process"), "{unknown}");
        let none = read(None).expect_err("no kind");
        assert!(none.contains("write kind = \"…\""), "{none}");
    }

    /// Scoped names are flattened; a name that would leave the folder is refused.
    #[test]
    fn names_become_files() {
        let stem = |name| file_stem(Path::new("p"), name);
        assert_eq!(stem("@team/orders").ok().as_deref(), Some("team-orders"));
        for bad in ["", "..", "../x y", ".hidden", "a b"] {
            assert!(stem(bad).is_err(), "{bad}");
        }
    }
}
