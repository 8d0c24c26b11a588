//! `wasmill test`: a plugin's cases, played in the sandbox.

use super::{Exit, inspect, stdout};
use crate::terminal::Terminal;
use crate::trial::{self, Case, Paint, Report};
use crate::workshop;
use std::path::{Path, PathBuf};
use wasmill_plugin::{Component, Grants, Host};
use wasmill_stream::{Error, Result};

/// Run the cases of a plugin in the sandbox.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The plugin's source folder, or a component
    plugin: PathBuf,
    /// Only this case
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// The folder of the cases [default: `cases` in the plugin's folder]
    #[arg(long, value_name = "FOLDER")]
    cases: Option<PathBuf>,
    /// Write what comes out into the cases, in the place of what they expect
    #[arg(long)]
    update: bool,
    /// Grant WASI, as `wasi = "inert"` does in a job file
    #[arg(long, value_name = "inert")]
    wasi: Option<Wasi>,
}

/// What is granted of WASI.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Wasi {
    /// Interfaces in which nothing happens.
    Inert,
}

const HELP: &str = "\
A case is a file cases/NAME.jsonl. What is expected stands right behind what causes it:

  # One request failed in the first minute.
  {\"settings\": {\"at_least\": 1}, \"window\": {\"tumbling\": \"1m\"}}
  {\"time\": \"2024-05-01T10:00:00Z\", \"key\": \"cart\", \"value\": {\"status\": 503}}
  {\"watermark\": \"2024-05-01T10:01:00Z\"}
  {\"out\": {\"key\": \"cart\", \"value\": {\"failed\": 1}}}

  {\"settings\", \"window\", \"allowed_lateness\", \"order\"}
                                    first line, if needed: as in the step of a job file
  {\"time\", \"key\", \"value\"}          a row goes in; `text` or `base64` for `value` if it is no JSON
  {\"watermark\": TIME}               event time moves on; \"end\": to the end of all time
  {\"migrate\": [STATE], \"from\": N}   states that version N has written are migrated
  {\"out\": ROW}                      a row comes out; what ROW leaves out is not compared
  {\"out.NAME\": ROW}                 … by a side output, or late, by `out.late`
  {\"rejected\": REASON, \"row\": ROW}  a row is refused
  {\"migrated\": STATE}               a state as it was migrated
  # …                               a comment; the first one says what the case shows

Exit code: 0 all cases passed, 1 some failed, 2 the plugin or a case is wrong.";

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    let folder = cases(arguments);
    let files = trial::find(&folder, arguments.case.as_deref())?;
    let read: Vec<_> = files.iter().map(|file| Case::open(file)).collect();
    let wrong: Vec<_> = read.iter().filter_map(|case| case.as_ref().err().map(Error::report)).collect();
    if !wrong.is_empty() {
        return Err(Error::invalid(wrong.join("\n")));
    }
    let host = workshop::host()?;
    let grants = Grants { wasi: arguments.wasi.is_some() };
    let (component, _) = inspect::load(&arguments.plugin, grants, &host, terminal)?;
    let (mut passed, mut failed) = (0, 0);
    for case in read.into_iter().flatten() {
        if play(&host, &component, &case, arguments.update)? { passed += 1 } else { failed += 1 }
    }
    let ok = if arguments.update { "ok or updated" } else { "ok" };
    stdout::line(format_args!("\n{}: {passed} {ok}, {failed} failed", component.describe()))?;
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

fn cases(arguments: &Arguments) -> PathBuf {
    let plugin = &arguments.plugin;
    let beside = if plugin.is_dir() { Some(plugin.as_path()) } else { plugin.parent() };
    arguments.cases.clone().unwrap_or_else(|| beside.unwrap_or(Path::new("")).join(trial::FOLDER))
}

/// Plays a case and prints what became of it. Tells whether it passed, or was updated.
fn play(host: &Host, component: &Component, case: &Case, update: bool) -> Result<bool> {
    let outcome = trial::play(host, component, case)?;
    let mut updated = false;
    if let (true, false, Some(text)) = (update, outcome.passed(), outcome.updated(case)) {
        std::fs::write(&case.path, text)
            .map_err(|error| Error::unavailable(format!("write {}", case.path.display())).with_source(error))?;
        updated = true;
    }
    stdout::print(Report { case, outcome: &outcome, updated, paint: Paint::of_stdout() })?;
    Ok(outcome.passed() || updated)
}
