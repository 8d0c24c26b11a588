//! JavaScript plugins: a folder with a package.json and ES modules, and QuickJS inside the component.

use super::script::{Kind, Script};
use super::stage::{OWN, Stage, Staged};
use super::toolbox::Tool;
use super::{fault, sdk};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasmill_stream::Result;

/// Why this engine: see `plugins/sdk/javascript/README.md`.
const TOOL: Tool = Tool {
    package: "componentize-qjs",
    version: "0.4.5",
    programs: &[("node", "install Node.js 18 or later"), ("npm", "install it; it comes with Node.js")],
    install: |tool, folder| {
        let mut command = Command::new("npm");
        command.args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--loglevel=error"]);
        command.args(["--fetch-retries=1", "--fetch-timeout=30000", "--prefix"]).arg(folder);
        command.arg(format!("{}@{}", tool.package, tool.version));
        command
    },
};

/// What the tool puts before an error, from the outside in.
const PREFIXES: [&str; 5] = [
    "Error: : ",
    "Failed to evaluate user JavaScript module: ",
    "Failed to evaluate JavaScript module: ",
    "Failed to declare JavaScript module: ",
    "Failed to finish JavaScript module evaluation: ",
];

#[derive(Deserialize)]
struct Manifest {
    name: Option<String>,
    version: Option<String>,
    main: Option<String>,
    #[serde(default)]
    wasmill: Section,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Section {
    kind: Option<String>,
}

/// The plugin in `dir`.
pub fn read(dir: PathBuf) -> Result<Script> {
    let file = dir.join("package.json");
    let text = std::fs::read(&file).map_err(|error| fault(&dir, "read package.json").with_source(error))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| fault(&dir, format!("its package.json is wrong: {error}")))?;
    let Some(name) = manifest.name else {
        return Err(fault(&dir, "its package.json has no \"name\""));
    };
    let kind = Kind::read(
        &dir,
        manifest.wasmill.kind.as_deref(),
        "\"wasmill\": { \"kind\": \"transform\" } into its package.json",
    )?;
    let main = manifest.main.unwrap_or_else(|| "plugin.js".to_owned());
    let main = main.strip_prefix("./").unwrap_or(&main);
    if !dir.join(main).is_file() {
        return Err(fault(&dir, format!("there is no {main}; name its module as \"main\" in its package.json")));
    }
    let mut stage = Stage::default();
    stage.add_sources(&dir, &[".js", ".mjs", ".json"])?;
    stage.add_all("node_modules/wasmill", sdk::JAVASCRIPT);
    stage.add_all(&format!("{OWN}/wit"), sdk::WIT);
    stage.add(format!("{OWN}/entry.js"), entry(main, kind, &name, manifest.version.as_deref().unwrap_or("0.0.0")));
    Ok(Script { dir, name, kind, stage, tool: &TOOL, command, explain })
}

/// The module that a component is made from: it connects the plugin to what the world imports and exports.
fn entry(main: &str, kind: Kind, name: &str, version: &str) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "import {{ component }} from '../node_modules/wasmill/src/component.js';\n\
         import * as plugin from {main};\n\
         import log from 'wasmill:plugin/log@0.1.0';\n\
         import metrics from 'wasmill:plugin/metrics@0.1.0';\n\
         const about = {{ name: {name}, version: {version} }};\n\
         export const {{ lifecycle, {interface} }} = component(plugin.default, '{kind}', about, {{ log, metrics }});\n",
        main = quoted(&format!("../{main}")),
        name = quoted(name),
        version = quoted(version),
        interface = kind.interface(),
        kind = kind.world(),
    )
}

fn command(script: &Script, tool: &Path, staged: &Staged, component: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(tool.join("node_modules/componentize-qjs/bin/componentize-qjs"));
    command.arg("--wit").arg(staged.join(OWN).join("wit")).args(["--world", script.kind.world()]);
    command.arg("--js").arg(staged.join(OWN).join("entry.js")).arg("--module-root").arg(staged.dir());
    command.arg("--output").arg(component).args(["--sync", "--stub-wasi"]);
    command
}

/// The error itself, without what the tool says about itself before, and the frames of the plugin without those around it.
fn explain(text: &str) -> String {
    let is_foreign = |line: &str| line.contains("(/node_modules/wasmill/") || line.contains(&format!("(/{OWN}/"));
    let lines = text.lines().skip_while(|line| !line.starts_with("Error:"));
    let lines = lines.filter(|line| !is_foreign(line)).collect::<Vec<_>>().join("\n");
    let mut words = if lines.is_empty() { text.trim() } else { lines.trim() };
    for prefix in PREFIXES {
        words = words.strip_prefix(prefix).unwrap_or(words);
    }
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(manifest: &str, main: Option<&str>) -> String {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("package.json"), manifest).expect("write package.json");
        if let Some(main) = main {
            std::fs::write(dir.path().join(main), "").expect("write the module");
        }
        read(dir.path().to_owned()).err().expect("a broken plugin").report()
    }

    /// What is wrong with a package.json is said before any tool is needed.
    #[test]
    fn wrong_manifests() {
        assert!(report("{", None).contains("its package.json is wrong: EOF"));
        assert!(report("{}", None).contains("has no \"name\""));
        assert!(report(r#"{"name":"a"}"#, Some("plugin.js")).contains("\"wasmill\": { \"kind\": \"transform\" }"));
        assert!(report(r#"{"name":"a","wasmill":{"kinds":"process"}}"#, None).contains("unknown field `kinds`"));
        assert!(report(r#"{"name":"a","wasmill":{"kind":"process"}}"#, None).contains("there is no plugin.js"));
        assert!(
            report(r#"{"name":"a","main":"./x.js","wasmill":{"kind":"process"}}"#, None).contains("there is no x.js")
        );
    }

    /// Of what the tool prints the author sees the error and its place.
    #[test]
    fn errors_are_unwrapped() {
        let text = "componentize-qjs\n  WIT:    /t/wit\nStubbing WASI imports...\nError: : Failed to evaluate user JavaScript module: \
            Failed to declare JavaScript module: Error: unexpected token in expression: ''\n    at /plugin.js:2:1\n\n";
        assert_eq!(explain(text), "Error: unexpected token in expression: ''\n    at /plugin.js:2:1");
        let text = "Error: : Failed to finish JavaScript module evaluation: Error: boom\n    at f (/plugin.js:3:1)\n    \
            at component (/node_modules/wasmill/src/component.js:18:85)\n    at <anonymous> (/wasmill-build/entry.js:6:79)\n";
        assert_eq!(explain(text), "Error: boom\n    at f (/plugin.js:3:1)");
        assert_eq!(explain("node: bad option\n"), "node: bad option");
    }
}
