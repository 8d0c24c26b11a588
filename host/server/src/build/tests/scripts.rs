//! JavaScript and Python plugins in folders of their own, outside the project. Without network their tools may be missing;
//! then these tests say so and pass.

use super::super::{Language, build_into};
use std::path::{Path, PathBuf};
use wasmill_stream::{ErrorKind, Result};

const PACKAGE: &str = r#"{ "name": "long-trips", "version": "1.2.3", "wasmill": { "kind": "transform" } }"#;
const JAVASCRIPT: &str = "import { transform } from 'wasmill';
import { least } from './limits.js';
export default transform({ fields: { miles: 'f64' } }, ({ miles }) => miles >= least);
";

const PROJECT: &str = "[project]\nname = \"long-trips\"\nversion = \"1.2.3\"\n[tool.wasmill]\nkind = \"transform\"\n";
const PYTHON: &str = "from limits import least
from wasmill import transform

@transform(fields={\"miles\": \"f64\"})
def long_trips(row):
    return row.miles >= least
";

/// A folder with these files; it is removed with the result.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).expect("write a file");
    }
    dir
}

fn build(dir: &Path, lines: &mut Vec<String>) -> Result<PathBuf> {
    let mut components = build_into(&[dir], None, &mut |line| lines.push(line.to_owned()))?;
    Ok(components.remove(0))
}

/// Whether the tool of a language is there or can be had.
fn has_tool(language: Language, outcome: &Result<PathBuf>) -> bool {
    let Err(error) = outcome else { return true };
    let report = error.report();
    let is_missing = error.kind() == ErrorKind::Unavailable || report.contains("which is not on the PATH");
    if is_missing {
        eprintln!("SKIPPED: {} plugins are not built for real here: {report}", language.name());
    }
    !is_missing
}

/// A plugin of two files is built, found up to date, and built anew when either file changes.
fn builds_when_sources_change(language: Language, files: [(&str, &str); 3], changed: (&str, &str)) {
    let dir = folder(&files);
    let mut lines = Vec::new();
    let first = build(dir.path(), &mut lines);
    if !has_tool(language, &first) {
        return;
    }
    let component = first.unwrap_or_else(|error| panic!("{}", error.report()));
    let inside = dir.path().canonicalize().expect("the folder").join("target");
    assert!(component.starts_with(inside) && component.ends_with("long-trips.wasm"), "{}", component.display());
    let compiling = |lines: &[String]| lines.iter().filter(|line| line.starts_with("Compiling long-trips")).count();
    assert_eq!(compiling(&lines), 1);
    assert_eq!(build(dir.path(), &mut lines).expect("nothing to do"), component);
    assert_eq!(compiling(&lines), 1, "it was up to date");
    std::fs::write(dir.path().join(changed.0), changed.1).expect("change a file");
    assert_eq!(build(dir.path(), &mut lines).expect("a changed plugin"), component);
    assert_eq!(compiling(&lines), 2, "a source had changed");
    let beside = std::fs::read_dir(component.parent().expect("a folder")).expect("readable").count();
    assert_eq!(beside, 2, "only the component and its digest stay");
}

#[test]
fn javascript_is_built_when_sources_change() {
    let files = [("package.json", PACKAGE), ("plugin.js", JAVASCRIPT), ("limits.js", "export const least = 10;\n")];
    builds_when_sources_change(Language::JavaScript, files, ("limits.js", "export const least = 20;\n"));
}

#[test]
fn python_is_built_when_sources_change() {
    let files = [("pyproject.toml", PROJECT), ("plugin.py", PYTHON), ("limits.py", "least = 10\n")];
    builds_when_sources_change(Language::Python, files, ("limits.py", "least = 20\n"));
}

/// Sources that do not load fail with the words of the language, which name the author's file and line and nothing else.
fn is_explained(language: Language, files: &[(&str, &str)], expected: &[&str]) {
    let dir = folder(files);
    let outcome = build(dir.path(), &mut Vec::new());
    if !has_tool(language, &outcome) {
        return;
    }
    let report = outcome.expect_err("a broken plugin").report();
    for words in expected {
        assert!(report.contains(words), "expected {words:?} in: {report}");
    }
    assert!(!report.contains("wasmill-build") && !report.contains("Stack backtrace"), "{report}");
}

#[test]
fn javascript_errors_are_explained() {
    let broken = JAVASCRIPT.replace("'./limits.js'", "'./limit.js'");
    is_explained(
        Language::JavaScript,
        &[("package.json", PACKAGE), ("plugin.js", &broken)],
        &["./limit.js", "/plugin.js"],
    );
    let other = PACKAGE.replace("transform", "process");
    let files = [("package.json", &*other), ("plugin.js", JAVASCRIPT), ("limits.js", "export const least = 1;")];
    is_explained(Language::JavaScript, &files, &["package.json says kind \"process\"", "exports transform(…)"]);
}

#[test]
fn python_errors_are_explained() {
    let files = [("pyproject.toml", PROJECT), ("plugin.py", PYTHON), ("limits.py", "least = leest\n")];
    is_explained(Language::Python, &files, &["File \"limits.py\", line 1", "NameError: name 'leest' is not defined"]);
    let none = [("pyproject.toml", PROJECT), ("plugin.py", "def long_trips(row):\n    return row\n")];
    is_explained(Language::Python, &none, &["plugin.py has 0 plugins", "@transform(…)"]);
}

/// The SDK's own tests, which need no component. `program` is what runs them.
fn sdk_tests_pass(folder: &str, program: &str, arguments: &[&str]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/sdk").join(folder);
    match std::process::Command::new(program).args(arguments).current_dir(&dir).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{text}");
        }
        Err(error) => eprintln!("SKIPPED: the tests of sdk/{folder}: run {program}: {error}"),
    }
}

#[test]
fn javascript_sdk() {
    sdk_tests_pass("javascript", "npm", &["test", "--silent"]);
}

#[test]
fn python_sdk() {
    sdk_tests_pass("python", "python3", &["-B", "-m", "unittest"]);
}
