//! Work on a stranger's bytes that nothing inside this process can bound: compiling a component, and judging settings by a
//! component's own schema. The program runs itself again for that, as a child with limits on memory and CPU time, without
//! files and environment, killed when it takes too long. Whatever the bytes do, they do it to the child.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use wasmill_stream::units::{ByteCount, Period};
use wasmill_stream::{Error, Result};

mod rlimit;
mod task;

pub use task::Task;

/// A child that returns more than this has gone mad: the largest component gives some 200 MiB of machine code.
const MAX_ANSWER: u64 = 1 << 30;
const MAX_WORDS: u64 = 64 << 10;
/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What a child may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confines {
    /// Address space.
    pub memory: ByteCount,
    /// CPU time of all its threads, in whole seconds.
    pub cpu: Period,
    /// Time by the clock on the wall: on a busy machine much longer than the CPU time.
    pub wall: Period,
}

impl Confines {
    /// For compiling.
    pub const COMPILE: Self =
        Self { memory: ByteCount::new(2 << 30), cpu: Period::from_millis(60_000), wall: Period::from_millis(300_000) };
    /// For everything else.
    pub const CHECK: Self =
        Self { memory: ByteCount::new(512 << 20), cpu: Period::from_millis(2_000), wall: Period::from_millis(30_000) };
}

/// How this program is run as a child. It must call [`Task::serve`] then.
#[derive(Debug, Clone)]
pub struct Child {
    program: PathBuf,
    arguments: Vec<OsString>,
    compile: Confines,
}

impl Child {
    /// The program that is running, with arguments that lead it to [`Task::serve`]; what it is to do follows them.
    pub fn this_program(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        // The very file that runs, even if another one has been put into its place.
        let program = PathBuf::from("/proc/self/exe");
        Self { program, arguments: arguments.into_iter().map(Into::into).collect(), compile: Confines::COMPILE }
    }

    /// With other confines for compiling.
    pub fn with_compile(self, compile: Confines) -> Self {
        Self { compile, ..self }
    }

    /// Compiles a component. The inner error is about the component.
    pub(crate) fn compile(&self, component: &[u8]) -> Result<Result<Vec<u8>, String>> {
        self.run(Task::Compile, self.compile, component)
    }

    /// Judges settings; see [`crate::schema`] for input and answer.
    pub(crate) fn check(&self, request: &[u8]) -> Result<Result<Vec<u8>, String>> {
        self.run(Task::Settings, Confines::CHECK, request)
    }

    fn run(&self, task: Task, confines: Confines, input: &[u8]) -> Result<Result<Vec<u8>, String>> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .args(task.arguments(confines))
            .env_clear()
            .envs(task::ENVIRONMENT)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let fails = |error| Error::unavailable(format!("run a child process to {}", task.words())).with_source(error);
        let process = command.spawn().map_err(fails)?;
        let ended = converse(process, confines, input).map_err(fails)?;
        Ok(ended.judge(task, confines))
    }
}

/// How a child ended.
struct Ended {
    /// `None`: it was killed because it took too long.
    status: Option<ExitStatus>,
    answer: Vec<u8>,
    words: String,
}

impl Ended {
    fn judge(self, task: Task, confines: Confines) -> Result<Vec<u8>, String> {
        use std::os::unix::process::ExitStatusExt;
        let words = self.words.trim();
        let beyond = |limit: String| Err(format!("{} took more than {limit} and was stopped", task.doing()));
        let Some(status) = self.status else { return beyond(confines.wall.to_string()) };
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(self.answer),
            (Some(task::REFUSED), _) => Err(words.to_owned()),
            (_, Some(libc::SIGXCPU)) => beyond(format!("{} of CPU time", confines.cpu)),
            (_, Some(libc::SIGABRT)) if words.contains("memory allocation of") => {
                beyond(format!("{} of memory", confines.memory))
            }
            (_, Some(libc::SIGKILL)) => Err(format!("{} was killed, most likely for lack of memory", task.doing())),
            (_, Some(libc::SIGABRT | libc::SIGSEGV | libc::SIGBUS)) if words.contains("overflowed its stack") => {
                Err(format!("{} ran out of stack", task.doing()))
            }
            _ => Err(format!("{} crashed ({status}): {}", task.doing(), words.lines().next().unwrap_or("no words"))),
        }
    }
}

/// Feeds the child and takes what it says; kills it when its time is over.
fn converse(mut process: Process, confines: Confines, input: &[u8]) -> std::io::Result<Ended> {
    let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
    thread::scope(|scope| {
        // A child that dies does not read to its end: the writer's error says less than how it died.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        let (answers, answer) = mpsc::channel();
        scope.spawn(move || answers.send(drain(stdout, MAX_ANSWER)));
        let (sayings, words) = mpsc::channel();
        scope.spawn(move || sayings.send(drain(stderr, MAX_WORDS)));
        let deadline = Instant::now() + confines.wall.duration();
        let status = loop {
            if let Some(status) = process.try_wait()? {
                break Some(status);
            }
            if Instant::now() >= deadline {
                process.kill()?;
                process.wait()?;
                break None;
            }
            thread::sleep(LOOK);
        };
        let words = String::from_utf8_lossy(&words.recv().unwrap_or_default()).into_owned();
        Ok(Ended { status, answer: answer.recv().unwrap_or_default(), words })
    })
}

/// Reads up to a limit; the rest is swallowed, so that the child does not wait for us.
fn drain(pipe: Option<impl Read>, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut limited = pipe.take(limit);
        // What was read before an error still says something.
        let _ = limited.read_to_end(&mut bytes);
        let _ = std::io::copy(&mut limited.into_inner(), &mut std::io::sink());
    }
    bytes
}
