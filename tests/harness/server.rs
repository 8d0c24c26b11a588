//! Servers written by others, started by the scripts in `servers/` on free ports. Tests of one run share them. They end with
//! this process, however it ends: their standard input is a pipe that only this process holds open.

use super::{root, skipped};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// The exit code of a script whose server cannot be had on this machine.
const CANNOT_BE_HAD: i32 = 77;

/// A server that one of the scripts can start.
pub struct Server {
    script: &'static str,
    running: OnceLock<Option<Running>>,
}

/// A server that runs until this is dropped.
pub struct Running {
    /// Its URL, without a slash at the end.
    pub url: String,
    /// The script; holds the pipe.
    child: Child,
    start: Start,
}

/// How a server was started, so that it can be again.
struct Start {
    script: String,
    port: u16,
    variables: Vec<(String, String)>,
}

/// A real OpenSearch server.
pub static OPENSEARCH: Server = Server::of("opensearch");
/// Kinesis by kinesis-mock.
pub static KINESIS_LOCAL: Server = Server::of("kinesis-local");
/// Kinesis by kinesalite.
pub static KINESALITE: Server = Server::of("kinesalite");
/// An OCI registry by distribution.
pub static OCI: Server = Server::of("oci");
/// S3 by MinIO, which checks signatures.
pub static MINIO: Server = Server::of("minio");
/// S3 by s3s-fs, which checks signatures.
pub static S3S_FS: Server = Server::of("s3s-fs");
/// S3, DynamoDB, SNS, SQS and CloudWatch by moto.
pub static MOTO: Server = Server::of("moto");

impl Server {
    const fn of(script: &'static str) -> Self {
        Self { script, running: OnceLock::new() }
    }

    /// One for a test alone; `None`, and a message, as with [`Server::url`].
    pub fn another(&self) -> Option<Running> {
        self.another_with(&[])
    }

    /// The same, with these variables in its environment.
    pub fn another_with(&self, variables: &[(&str, &str)]) -> Option<Running> {
        self.url().and_then(|_| start(self.script, variables))
    }

    /// Its URL, without a slash at the end. Starts it if no test has yet; `None`, and a message, if it cannot be had here.
    /// With `WASMILL_REQUIRE_SERVERS` set that is a failure.
    pub fn url(&self) -> Option<&str> {
        let running = self.running.get_or_init(|| start(self.script, &[])).as_ref();
        if running.is_none() {
            assert!(std::env::var_os("WASMILL_REQUIRE_SERVERS").is_none(), "{} is required", self.script);
            skipped(&format!("needs {}", self.script));
        }
        running.map(|running| running.url.as_str())
    }
}

impl Running {
    /// Lets the server stand still where it is, or go on. The script goes on in any case, and ends the server with it.
    pub fn stand_still(&self, still: bool) {
        self.signal(if still { "-STOP" } else { "-CONT" });
    }

    /// Kills the server, which has no time to do anything about it.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        self.child.wait().expect("the script ends with it");
    }

    /// Starts it again, where it was, with what it has kept.
    pub fn start_again(&mut self) {
        let again = self.start.start().expect("it could be had before");
        assert_eq!(again.url, self.url);
        *self = again;
    }

    fn signal(&self, signal: &str) {
        let script = self.child.id();
        let children =
            std::fs::read_to_string(format!("/proc/{script}/task/{script}/children")).expect("it runs, on Linux");
        let is_server = |id: &&str| {
            let name = std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            !matches!(name.trim(), "bash" | "cat" | "sh")
        };
        let server = children.split_whitespace().find(is_server).expect("the script has started a server");
        let status = Command::new("kill").args([signal, server]).status();
        assert!(status.expect("kill is there").success(), "the server still runs");
    }
}

/// Starts a server with these variables in its environment; `None` if it cannot be had here.
pub fn start(name: &str, variables: &[(&str, &str)]) -> Option<Running> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Start { script: name.to_owned(), port: free_port(), variables }.start()
}

impl Start {
    fn start(&self) -> Option<Running> {
        let Self { script: name, port, variables } = self;
        let script = root().join(format!("tests/servers/{name}.sh"));
        let mut child = Command::new(&script)
            .arg(port.to_string())
            .env("WASMILL_STOP_AT_EOF", "1")
            .envs(variables.clone())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A Ctrl-C in the terminal is for the tests; the servers follow them.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", script.display()));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the script speaks UTF-8");
        match line.trim().strip_prefix("READY ") {
            Some(url) => {
                let start = Self { script: name.clone(), port: *port, variables: variables.clone() };
                Some(Running { url: url.to_owned(), child, start })
            }
            None => {
                let status = child.wait().expect("the script was started");
                assert_eq!(status.code(), Some(CANNOT_BE_HAD), "{name} did not start, see above");
                None
            }
        }
    }
}

/// A port that nobody listens on, nor on the one after it. It is none of those that systems give to whoever wants any, so it is
/// still free when a server that has to be installed first comes to listen on it.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 5_000) as u16;
    let ports = std::iter::repeat_with(|| 20_000 + (first + NEXT.fetch_add(1, Relaxed)) % 5_000 * 2);
    let is_free = |port: &u16| [*port, port + 1].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    ports.take(5_000).find(is_free).expect("five thousand ports are in use")
}
