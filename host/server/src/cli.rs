//! The command line: what can be typed, and which exit code it ends with. Each command is a file of its own.

mod apply;
mod build;
mod check;
mod checkpoint;
pub(crate) mod compile;
mod connectors;
mod dead_letter;
mod demo;
mod drive;
mod explain;
mod history;
mod host;
mod inspect;
mod job;
mod jobs;
mod new;
mod replay;
mod rollback;
mod run;
mod serve;
mod stdout;
mod swap;
mod tenant;
mod test;
mod token;
mod top;

use crate::job::Parameters;
use crate::log::Format;
use crate::terminal::Terminal;
use clap::builder::RangedI64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use wasmill_stream::key::KEY_GROUPS;
use wasmill_stream::{Error, ErrorKind};

/// A stream runtime: Rust reads, keeps time, windows and writes; your logic is WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "wasmill", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    /// How the log is written to standard error; WASMILL_LOG_FORMAT says the same
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log_format: Option<Format>,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  wasmill demo                                        taxi trips through two plugins, no set-up
  wasmill check job.toml                              every problem of a job file, and its shape
  wasmill run job.toml --workers 2 --set in=a.jsonl   run it
  wasmill swap job.toml averages new.wasm             another plugin, while the job runs
  wasmill new slow-pages --lang rust --kind transform a plugin to start from
  wasmill test slow-pages                             its cases, in the sandbox
  wasmill build slow-pages                            make a component of a plugin's source

Environment:
  WASMILL_LOG         what is logged to standard error, such as `info` or `wasmill_engine=debug` (default: warn)
  WASMILL_LOG_FORMAT  `text`, or `json`: an object a line, with job, tenant, step and plugin where there are any
  NO_COLOR            no colours";

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a job file and its plugins without running anything
    Check(check::Arguments),
    /// Run a job until its sources end or Ctrl-C
    Run(run::Arguments),
    /// Run many jobs side by side, with an API
    Serve(serve::Arguments),
    /// List, show, write, pause, resume, restart or remove the jobs of a host
    Jobs(jobs::Arguments),
    /// Make, list and revoke the tokens of a host
    Token(token::Arguments),
    /// Show the jobs of a host as they run
    Top(top::Arguments),
    /// Replace the plugin of a step while its job runs, or try another one
    Swap(swap::Arguments),
    /// Apply a job file that has changed to its running job
    Apply(apply::Arguments),
    /// Put the version before back into a step while its job runs
    Rollback(rollback::Arguments),
    /// Say which windows of a step are open, and what holds them
    Explain(explain::Arguments),
    /// List which plugins a job has had, by whom, why, and how it went
    History(history::Arguments),
    /// Write a small plugin project that builds and passes its tests
    New(new::Arguments),
    /// Run the cases of a plugin in the sandbox
    Test(test::Arguments),
    /// Make a component of a plugin's source folder
    Build(build::Arguments),
    /// Show what a plugin is, what it wants and gives, and what it may take
    Inspect(inspect::Arguments),
    /// List, show, verify, keep or restore the checkpoints of a job
    Checkpoint(checkpoint::Arguments),
    /// List, show or replay dead letters
    DeadLetter(dead_letter::Arguments),
    /// Play recorded events into a Kinesis stream
    Replay(replay::Arguments),
    /// Watch taxi trips flow through WebAssembly plugins into windows, no set-up
    Demo(demo::Arguments),
    /// The work of a child process: never typed by hand
    #[command(hide = true)]
    Compile(compile::Arguments),
    /// The process of a tenant: never typed by hand
    #[command(hide = true)]
    Tenant,
    /// List the types of sources and sinks
    Connectors,
}

/// The arguments that name a job.
#[derive(Debug, Args)]
struct JobArguments {
    /// The job file
    job: PathBuf,
    /// Value of `${NAME}` in the job file; goes before the environment
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    set: Vec<(String, String)>,
}

impl JobArguments {
    fn parameters(&self) -> Parameters {
        Parameters::new(self.set.iter().cloned()).or_environment()
    }
}

/// How many workers there can be: each owns at least one key group.
fn workers() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=KEY_GROUPS as i64)
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// How a command ended. The numbers are part of the interface: scripts read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done = 0,
    Failed = 1,
    /// The job file or an argument is wrong. clap uses the same number.
    Invalid = 2,
    /// Ctrl-C twice.
    Interrupted = 130,
    /// Whoever reads standard output has gone, such as `head`: as if the signal SIGPIPE had ended the program.
    Unread = 141,
}

/// Parses the arguments of this process and does what they say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Before there is a second thread: it confines itself.
    if matches!(cli.command, Command::Tenant) {
        return tenant::run();
    }
    let format = match cli.log_format.map_or_else(format_of_environment, Ok) {
        Ok(format) => format,
        Err(error) => {
            Terminal::start(Format::Text).error(&error.report());
            return ExitCode::from(Exit::Invalid as u8);
        }
    };
    let terminal = Terminal::start(format);
    let ended = match &cli.command {
        Command::Check(arguments) => check::run(arguments, &terminal),
        Command::Run(arguments) => run::run(arguments, &terminal),
        Command::Serve(arguments) => serve::run(arguments, &terminal),
        Command::Jobs(arguments) => jobs::run(arguments),
        Command::Token(arguments) => token::run(arguments, &terminal),
        Command::Top(arguments) => top::run(arguments),
        Command::Swap(arguments) => swap::run(arguments),
        Command::Apply(arguments) => apply::run(arguments),
        Command::Rollback(arguments) => rollback::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::History(arguments) => history::run(arguments),
        Command::New(arguments) => new::run(arguments, &terminal),
        Command::Test(arguments) => test::run(arguments, &terminal),
        Command::Build(arguments) => build::run(arguments, &terminal),
        Command::Inspect(arguments) => inspect::run(arguments, &terminal),
        Command::Checkpoint(arguments) => checkpoint::run(arguments, &terminal),
        Command::DeadLetter(arguments) => dead_letter::run(arguments, &terminal),
        Command::Replay(arguments) => replay::run(arguments, &terminal),
        Command::Demo(arguments) => demo::run(arguments, &terminal),
        Command::Compile(arguments) => return compile::run(arguments),
        Command::Tenant => return tenant::run(),
        Command::Connectors => connectors::run(),
    };
    let exit = ended.unwrap_or_else(|error| {
        let exit = exit_of(&error);
        if exit != Exit::Unread {
            terminal.error(&error.report());
        }
        exit
    });
    ExitCode::from(exit as u8)
}

/// How the log is written, as the environment says.
fn format_of_environment() -> Result<Format, Error> {
    let Some(text) = std::env::var_os("WASMILL_LOG_FORMAT").filter(|text| !text.is_empty()) else {
        return Ok(Format::Text);
    };
    Format::from_str(&text.to_string_lossy(), true)
        .map_err(|_| Error::invalid(format!("WASMILL_LOG_FORMAT is {text:?}: expected `text` or `json`")))
}

fn exit_of(error: &Error) -> Exit {
    match error.kind() {
        ErrorKind::Invalid => Exit::Invalid,
        ErrorKind::Closed => Exit::Unread,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// The command line is consistent, and `--set` takes values that contain `=`.
    #[test]
    fn arguments() {
        Cli::command().debug_assert();
        assert_eq!(parse_setting("in=a=b"), Ok(("in".to_owned(), "a=b".to_owned())));
        assert!(parse_setting("in").is_err());
        assert!(parse_setting("=x").is_err());
    }
}
