//! What a child does: confine itself, read standard input to its end, answer on standard output.

use super::{Confines, rlimit};
use crate::{engine, schema};
use std::io::{Read, Write};
use std::process::ExitCode;
use std::str::FromStr;

/// The exit code of a child that has done its work and says no; its words are on standard error.
pub(super) const REFUSED: i32 = 1;

/// Threads share the memory that the child may take, and so do the arenas of the allocator.
pub(super) const ENVIRONMENT: [(&str, &str); 2] = [("RAYON_NUM_THREADS", "4"), ("MALLOC_ARENA_MAX", "2")];

/// What a child is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// A component in, machine code out.
    Compile,
    /// Schema and settings in, problems out.
    Settings,
}

impl Task {
    /// To follow "run a child process to".
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Compile => "compile a component",
            Self::Settings => "check settings",
        }
    }

    /// As the beginning of a sentence.
    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Compile => "compiling the component",
            Self::Settings => "checking the settings by the component's schema",
        }
    }

    /// The arguments with which a child is told its task and its confines.
    pub(super) fn arguments(self, confines: Confines) -> [String; 3] {
        let seconds = confines.cpu.duration().as_millis().div_ceil(1_000);
        [self.to_string(), confines.memory.bytes().to_string(), seconds.to_string()]
    }

    /// Confines this process to so many bytes and seconds of CPU time, and does the task. Call this in a process that was
    /// started by [`super::Child`], before anything else has happened in it.
    pub fn serve(self, memory: u64, cpu_seconds: u64) -> ExitCode {
        let answer = rlimit::confine(memory, cpu_seconds)
            .map_err(|error| format!("the child process cannot confine itself: {error}"))
            .and_then(|()| self.answer());
        match answer {
            Ok(()) => ExitCode::SUCCESS,
            Err(words) => {
                eprintln!("{words}");
                ExitCode::from(REFUSED as u8)
            }
        }
    }

    fn answer(self) -> Result<(), String> {
        let mut input = Vec::new();
        std::io::stdin().read_to_end(&mut input).map_err(|error| format!("read standard input: {error}"))?;
        let answer = match self {
            Self::Compile => engine::precompile(&input),
            Self::Settings => schema::answer(&input),
        }?;
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&answer).and_then(|()| stdout.flush()).map_err(|error| format!("write the answer: {error}"))
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Compile => "component",
            Self::Settings => "settings",
        })
    }
}

impl FromStr for Task {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Compile, Self::Settings]
            .into_iter()
            .find(|task| task.to_string() == text)
            .ok_or_else(|| format!("expected `{}` or `{}`, found `{text}`", Self::Compile, Self::Settings))
    }
}
