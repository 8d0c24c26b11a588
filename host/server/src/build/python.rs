//! Python plugins: a folder with a pyproject.toml and a module, and CPython inside the component.

use super::script::{Kind, Script};
use super::stage::{OWN, Stage, Staged};
use super::toolbox::Tool;
use super::{fault, sdk};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasmill_stream::Result;

const TOOL: Tool = Tool {
    package: "componentize-py",
    version: "0.25.1",
    programs: &[("python3", "install Python 3.10 or later, with pip")],
    install: |tool, folder| {
        let mut command = Command::new("python3");
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]);
        command.args(["--only-binary=:all:", "--retries=1", "--timeout=30", "--target"]).arg(folder);
        command.arg(format!("{}=={}", tool.package, tool.version)).env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        command
    },
};

#[derive(Deserialize)]
struct Manifest {
    project: Option<Project>,
    #[serde(default)]
    tool: Tools,
}

#[derive(Deserialize)]
struct Project {
    name: String,
    version: Option<String>,
}

#[derive(Deserialize, Default)]
struct Tools {
    #[serde(default)]
    wasmill: Section,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Section {
    kind: Option<String>,
    module: Option<String>,
}

/// The plugin in `dir`.
pub fn read(dir: PathBuf) -> Result<Script> {
    let file = dir.join("pyproject.toml");
    let text = std::fs::read_to_string(&file).map_err(|error| fault(&dir, "read pyproject.toml").with_source(error))?;
    let manifest: Manifest =
        toml::from_str(&text).map_err(|error| fault(&dir, format!("its pyproject.toml is wrong: {error}")))?;
    let Some(Project { name, version }) = manifest.project else {
        return Err(fault(&dir, "its pyproject.toml has no [project] with a name"));
    };
    let Section { kind, module } = manifest.tool.wasmill;
    let kind = Kind::read(&dir, kind.as_deref(), "[tool.wasmill] kind = \"transform\" into its pyproject.toml")?;
    let module = module.unwrap_or_else(|| "plugin".to_owned());
    let is_name = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    if !module.split('.').all(is_name) {
        return Err(fault(&dir, format!("module {module:?} in [tool.wasmill] is not the name of a module")));
    }
    let source = format!("{}.py", module.replace('.', "/"));
    if !dir.join(&source).is_file() {
        return Err(fault(
            &dir,
            format!("there is no {source}; name its module in its pyproject.toml: [tool.wasmill] module = \"…\""),
        ));
    }
    let mut stage = Stage::default();
    stage.add_sources(&dir, &[".py", ".json"])?;
    stage.add_all(&format!("{OWN}/wasmill"), sdk::PYTHON);
    stage.add_all(&format!("{OWN}/wit"), sdk::WIT);
    let entry = entry(&module, kind, &name, version.as_deref().unwrap_or("0.0.0"));
    stage.add(format!("{OWN}/wasmill_entry.py"), entry);
    Ok(Script { dir, name, kind, stage, tool: &TOOL, command, explain })
}

/// The module that a component is made from: it connects the plugin to what the world exports.
fn entry(module: &str, kind: Kind, name: &str, version: &str) -> String {
    // A JSON string is a Python string, too.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "import importlib\n\
         from wasmill import _component\n\
         plugin = importlib.import_module({module})\n\
         globals().update(_component.exports(plugin, {kind}, {name}, {version}))\n",
        module = quoted(module),
        kind = quoted(kind.world()),
        name = quoted(name),
        version = quoted(version),
    )
}

fn command(script: &Script, tool: &Path, staged: &Staged, component: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", "import sys, componentize_py; sys.exit(componentize_py.script())"]);
    command.arg("--quiet").arg("--wit-path").arg(staged.join(OWN).join("wit")).args(["--world", script.kind.world()]);
    command.args(["componentize", "--stub-wasi", "wasmill_entry", "--output"]).arg(component);
    for path in [staged.join(OWN), staged.dir().to_owned()] {
        command.arg("--python-path").arg(path);
    }
    command.env("PYTHONPATH", tool).env("PYTHONDONTWRITEBYTECODE", "1").env_remove("PYTHONHOME");
    command
}

/// The plugin's own traceback, without that of the tool around it.
fn explain(text: &str) -> String {
    let inner = text.split_once("AssertionError: ").map_or(text, |(_, inner)| inner);
    let inner = inner.split_once("\nCaused by:").map_or(inner, |(inner, _)| inner);
    let mut lines = Vec::new();
    let mut is_ours = false;
    for line in inner.trim().lines() {
        // A frame is a line that names its place, and more deeply indented ones.
        if let Some(place) = line.strip_prefix("  File \"/") {
            let path = place.split_once('/').map_or(place, |(_, path)| path);
            is_ours = path.starts_with("wasmill") || place.starts_with("python/");
            if !is_ours {
                lines.push(format!("  File \"{path}"));
            }
        } else if !line.starts_with(' ') || !is_ours {
            is_ours &= line.starts_with(' ');
            // Frames of the import machinery have no folder.
            if !line.starts_with("  File \"<") {
                lines.push(line.to_owned());
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(manifest: &str) -> String {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("pyproject.toml"), manifest).expect("write pyproject.toml");
        read(dir.path().to_owned()).err().expect("a broken plugin").report()
    }

    /// What is wrong with a pyproject.toml is said before any tool is needed.
    #[test]
    fn wrong_manifests() {
        assert!(report("[project").contains("its pyproject.toml is wrong"));
        assert!(report("").contains("no [project] with a name"));
        let project = "[project]\nname = \"a\"\n";
        assert!(report(project).contains("[tool.wasmill] kind = \"transform\""));
        assert!(report(&format!("{project}[tool.wasmill]\nkinds = \"process\"")).contains("unknown field `kinds`"));
        assert!(report(&format!("{project}[tool.wasmill]\nkind = \"process\"")).contains("there is no plugin.py"));
        let module = |name: &str| report(&format!("{project}[tool.wasmill]\nkind = \"process\"\nmodule = \"{name}\""));
        assert!(module("my.idle").contains("there is no my/idle.py"));
        assert!(module("../idle").contains("is not the name of a module"));
    }

    /// Of what the tool prints the author sees the traceback through the plugin's own files.
    #[test]
    fn tracebacks_are_unwrapped() {
        let text = "Traceback (most recent call last):\n  File \"/x/bin/componentize-py\", line 8, in <module>\n    sys.exit(script())\n\
            AssertionError: Traceback (most recent call last):\n  File \"/0/wasmill_entry.py\", line 3, in <module>\n    plugin = x\n  \
            File \"/python/importlib/__init__.py\", line 88, in import_module\n    return y\n           ^^^^^\n  File \"<frozen importlib._bootstrap>\", line 1387, in _gcd_import\n  \
            File \"/1/plugin.py\", line 1, in <module>\n    raise ValueError(\"boom\")\nValueError: boom\n\n\nCaused by:\n    ValueError: boom\n\nStack backtrace:\n   0: x\n";
        let kept = "Traceback (most recent call last):\n  File \"plugin.py\", line 1, in <module>\n    raise ValueError(\"boom\")\nValueError: boom";
        assert_eq!(explain(text), kept);
    }
}
