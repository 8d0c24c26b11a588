//! A running `wasmill run`, which can be killed, stopped, frozen and read.

use super::patience::until;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

/// A process of the real program. Killed when it is dropped.
pub struct Host {
    child: Child,
    log: PathBuf,
}

/// How a process ended.
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to standard error.
    pub log: String,
}

impl Host {
    /// Starts a command. Its standard error goes to a file.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::create(log).expect("a log can be written");
        let child = command.stdout(std::process::Stdio::null()).stderr(file).spawn().expect("the program starts");
        Self { child, log: log.to_owned() }
    }

    /// A process that was started, whose standard error goes to this file.
    pub fn of(child: Child, log: PathBuf) -> Self {
        Self { child, log }
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill is there").success(), "it runs: {}", self.text());
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(mut self) -> Ended {
        self.child.kill().expect("it is ours");
        self.ended()
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> Ended {
        until("the end of the program", || self.status());
        self.ended()
    }

    /// Whether it has ended.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is ours")
    }

    /// What it has written to standard error so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn ended(&mut self) -> Ended {
        let status = self.child.wait().expect("it is ours");
        Ended { code: status.code(), signal: status.signal(), log: self.text() }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Asserts that it ended well.
    pub fn well(self) -> String {
        assert_eq!((self.code, self.signal), (Some(0), None), "{}", self.log);
        self.log
    }

    /// How many records a source has read, as the summary says.
    pub fn read(&self, source: &str) -> u64 {
        let titles = self.log.lines().find(|line| line.trim_start().starts_with("read "));
        assert!(titles.is_some(), "there is no summary:\n{}", self.log);
        let line = self.log.lines().rev().find(|line| line.split_whitespace().next() == Some(source));
        let cell = line.and_then(|line| line.split_whitespace().nth(1)).map(|cell| cell.replace([',', '\u{202f}'], ""));
        let number = cell.and_then(|cell| cell.parse().ok());
        number.unwrap_or_else(|| panic!("{source} is not in the summary:\n{}", self.log))
    }
}
