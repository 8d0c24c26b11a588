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

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
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

    /// How many rows a node has read, as the summary says.
    pub fn read(&self, node: &str) -> u64 {
        self.cell(node, "read").and_then(|cell| cell.parse().ok()).unwrap_or_else(|| self.missing(node))
    }

    /// How many rows of a node had met no fate when it ended. The summary leaves the column out if none had anywhere.
    pub fn in_flight(&self, node: &str) -> i64 {
        const TITLE: &str = "+ in flight";
        if !self.log.contains(TITLE) {
            return 0;
        }
        self.cell(node, TITLE).and_then(|cell| cell.parse().ok()).unwrap_or_else(|| self.missing(node))
    }

    /// A number of the summary, in the line of a node.
    fn cell(&self, node: &str, title: &str) -> Option<String> {
        let is_title = |line: &&str| line.trim_start().starts_with("read ");
        let titles = self.log.lines().find(is_title)?;
        let at = titles.split("  ").filter(|title| !title.trim().is_empty()).position(|one| one.trim() == title)?;
        let mut nodes = self.log.lines().skip_while(|line| !is_title(line)).skip(1);
        let line = nodes.find(|line| line.split_whitespace().next() == Some(node))?;
        line.split_whitespace().nth(at + 1).map(|cell| cell.replace([',', '\u{202f}'], ""))
    }

    fn missing(&self, node: &str) -> ! {
        panic!("{node} is not in the summary:\n{}", self.log)
    }
}
