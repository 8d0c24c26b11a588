//! Tools that make components of scripts. Each is installed once, in one version, into a folder of its own that no other
//! program looks into; after that builds need no network.

use super::cargo;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasmill_stream::{Error, Result};

/// A tool.
#[derive(Debug)]
pub struct Tool {
    /// Its package.
    pub package: &'static str,
    /// The version that the SDK was tested with.
    pub version: &'static str,
    /// The programs that must be there, with what to install if they are not.
    pub programs: &'static [(&'static str, &'static str)],
    /// Makes the command that installs it into a folder.
    pub install: fn(&Tool, &Path) -> Command,
}

impl Tool {
    /// Name and version, for people and for digests.
    pub fn label(&self) -> String {
        format!("{} {}", self.package, self.version)
    }

    /// The folder of the tool, which is installed if it is not there. `language` is for messages.
    pub fn find(&self, language: &str, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
        self.find_in(&cache()?, language, progress)
    }

    fn find_in(&self, cache: &Path, language: &str, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
        for (program, remedy) in self.programs {
            if run(Command::new(program).arg("--version")).is_err() {
                return Err(Error::invalid(format!(
                    "{language} plugins need `{program}`, which is not on the PATH; {remedy}"
                )));
            }
        }
        let place = cache.join(format!("{}-{}", self.package, self.version));
        if place.is_dir() {
            return Ok(place);
        }
        progress(&format!("Installing {} (once)", self.label()));
        // What is half installed never has the tool's name; of two processes that install at the same time one is in vain.
        let draft = cache.join(format!("{}-{}.{}.tmp", self.package, self.version, std::process::id()));
        let unwritable = |error| Error::unavailable(format!("write {}", draft.display())).with_source(error);
        std::fs::create_dir_all(&draft).map_err(unwritable)?;
        let outcome = run((self.install)(self, &draft).current_dir(&draft));
        let installed = outcome.map_err(|reason| {
            Error::unavailable(format!(
                "install {}, which builds {language} plugins: {reason}\n\
                 It is installed once, from its package registry; check the network, or the registry that is configured",
                self.label()
            ))
        });
        let installed = installed.and_then(|_| match std::fs::rename(&draft, &place) {
            Err(error) if !place.is_dir() => Err(unwritable(error)),
            _ => Ok(place),
        });
        let _ = std::fs::remove_dir_all(&draft);
        installed
    }
}

/// `wasmill/toolchains` in the user's folder for what can be had again.
fn cache() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base =
        set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("wasmill/toolchains"))
        .ok_or_else(|| Error::invalid("neither HOME nor XDG_CACHE_HOME is set, so there is no folder for tools"))
}

/// Runs a command to its end and returns what it printed. The error is why it did not run, or the end of its words.
pub fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut neutral = cargo::command(&program, command.get_current_dir().unwrap_or(Path::new(".")));
    neutral.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => neutral.env(name, value),
            None => neutral.env_remove(name),
        };
    }
    let output = neutral.output().map_err(|error| format!("run `{program}`: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text) } else { Err(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(install: fn(&Tool, &Path) -> Command) -> Tool {
        Tool { package: "hammer", version: "1.2.3", programs: &[("cargo", "install Rust")], install }
    }

    /// A tool is installed once, with a line of progress, and found from then on.
    #[test]
    fn tools_are_installed_once() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let hammer = tool(|_, _| {
            let mut command = Command::new("sh");
            command.args(["-c", "echo iron > head"]);
            command
        });
        let mut lines = Vec::new();
        for _ in 0..2 {
            let place =
                hammer.find_in(cache.path(), "Wooden", &mut |line| lines.push(line.to_owned())).expect("a hammer");
            assert_eq!(place, cache.path().join("hammer-1.2.3"));
            assert_eq!(std::fs::read_to_string(place.join("head")).ok().as_deref(), Some("iron\n"));
        }
        assert_eq!(lines, ["Installing hammer 1.2.3 (once)"]);
    }

    /// An installation that fails leaves nothing behind, and the message has its reason and what to look at.
    #[test]
    fn failed_installations() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let hammer = tool(|_, _| {
            let mut command = Command::new("sh");
            command.args(["-c", "echo half > head; echo no route to shop >&2; exit 1"]);
            command
        });
        let report = hammer.find_in(cache.path(), "Wooden", &mut |_| {}).expect_err("no hammer").report();
        assert!(report.contains("hammer 1.2.3") && report.contains("no route to shop"), "{report}");
        assert!(report.contains("check the network"), "{report}");
        assert_eq!(std::fs::read_dir(cache.path()).expect("the cache").count(), 0);
    }

    /// A program that is missing is named, with the language that needs it and what to install.
    #[test]
    fn missing_programs() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let mut hammer = tool(|_, _| Command::new("true"));
        hammer.programs = &[("no-such-program", "install the workshop, version 3 or later")];
        let report = hammer.find_in(cache.path(), "Wooden", &mut |_| {}).expect_err("no program").report();
        assert!(report.contains("Wooden plugins need `no-such-program`"), "{report}");
        assert!(report.contains("install the workshop"), "{report}");
    }
}
