//! `wasmill swap`: another plugin in a step of a job that runs, for good or on trial.

use super::Exit;
use super::host::RunningJob;
use super::stdout::print;
use crate::control::{Answer, Entry, Request, key_groups};
use crate::job::{OpenWindows, Origin};
use crate::live::history::Reason;
use wasmill_plugin::Grant;
use wasmill_stream::units::Period;
use wasmill_stream::{Error, Result};

/// Replace the plugin of a step while its job runs, on this machine or a host, or try another one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Rows that were read before are the old plugin's, rows read after are the new one's, on all workers. Windows stay open, states
go along: a plugin with a newer version of its state rewrites them, or is refused. A plugin that is refused changes nothing.

Then the new plugin is on probation, as [swap] in the job file says, 30 s if it says nothing. If it fails meanwhile, or breaks
a bound, the old one answers the same call and is put back; no row is lost.

With --open-windows finish-old, or open_windows = \"finish-old\" under [swap], the old plugin closes the windows that it has
opened, key by key, and the new one has those that are opened from then on. Until the last of them is closed both run, the new
one is on probation, and no other plugin is let in; a restart goes on with that. Promoted before, the new one goes on with them.

The step keeps its settings, limits and grants of the job file. A version that imports more than was granted is refused, with
what is new and what it means; --grant approves it for this component and those that take over from it.

Examples:
  wasmill swap job.toml averages new.wasm --why \"half-hour windows\"
  wasmill swap job.toml averages new.wasm --open-windows finish-old
  wasmill swap job.toml averages new.wasm --shadow 5m     compare it on the same rows; nobody sees what it answers
  wasmill swap job.toml averages new.wasm --canary 10%    let it answer for a tenth of the key groups
  wasmill swap job.toml averages                          how the trial stands
  wasmill swap job.toml averages --promote                let it take over for good (--abort: call it off)")]
pub struct Arguments {
    #[command(flatten)]
    job: RunningJob,
    /// The step, or the source whose decoder it is
    step: String,
    /// The component, or the folder of its source; or s3://BUCKET/KEY, or oci://REGISTRY/REPOSITORY@sha256:DIGEST
    #[arg(value_parser = |text: &str| Origin::try_from(text.to_owned()))]
    plugin: Option<Origin>,
    /// Approve what the component imports, by name; may be given several times. `wasmill inspect` shows the names
    #[arg(long = "grant", value_name = "NAME", requires = "plugin")]
    grants: Vec<Grant>,
    /// Why, for `wasmill history`
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// How long the old plugin stays ready to be put back; 0s: not at all
    #[arg(long, value_name = "TIME", requires = "plugin", value_parser = period, group = "entry")]
    probation: Option<Period>,
    /// What becomes of windows that are open: the new plugin goes on with them, or the old one closes them
    #[arg(long, value_name = "HOW", requires = "plugin", value_enum, conflicts_with_all = ["shadow", "canary"])]
    open_windows: Option<OpenWindows>,
    /// Run it beside the old plugin for so long, on the same rows, and only compare
    #[arg(long, value_name = "TIME", requires = "plugin", value_parser = period, group = "entry")]
    shadow: Option<Period>,
    /// Let it answer for this share of the key groups, such as 10%
    #[arg(long, value_name = "SHARE", requires = "plugin", value_parser = key_groups, group = "entry")]
    canary: Option<u64>,
    /// Let the plugin on trial take over for good
    #[arg(long, conflicts_with_all = ["plugin", "abort"])]
    promote: bool,
    /// Call the plugin on trial off
    #[arg(long, conflicts_with = "plugin")]
    abort: bool,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    let Arguments { job, step, plugin, why, promote, abort, .. } = arguments;
    let (step, reason) = (step.clone(), reason(why.as_deref()));
    let request = match plugin {
        Some(plugin) => {
            let absent = |error| Error::invalid(format!("find {plugin}")).with_source(error);
            let plugin = match plugin {
                // A host knows where its own files are.
                Origin::Path(path) if job.is_local()? => Origin::Path(path.canonicalize().map_err(absent)?),
                other => other.clone(),
            };
            let grants = arguments.grants.iter().map(ToString::to_string).collect();
            Request::Swap { step, plugin, grants, entry: arguments.entry(), reason }
        }
        None if *promote || *abort => Request::Settle { step, promote: *promote, reason },
        None => Request::Trial { step },
    };
    say(job, &request)
}

impl Arguments {
    fn entry(&self) -> Entry {
        let millis = |period: Period| period.millis().unsigned_abs();
        match (self.shadow, self.canary) {
            (Some(time), _) => Entry::Shadow(millis(time)),
            (None, Some(key_groups)) => Entry::Canary(key_groups),
            (None, None) => Entry::TakeOver { probation: self.probation.map(millis), open_windows: self.open_windows },
        }
    }
}

/// Who asks, and why.
pub fn reason(why: Option<&str>) -> Reason {
    let by = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    Reason { by: by.unwrap_or_else(|| "somebody".to_owned()), why: why.map(str::to_owned) }
}

/// Asks the job and prints what it answers.
pub fn say(job: &RunningJob, request: &Request) -> Result<Exit> {
    match job.answer(request)? {
        Answer::Done(done) => {
            print(format!("{done}\n"))?;
            Ok(Exit::Done)
        }
        Answer::Refused(reason) => Err(Error::invalid(reason)),
        Answer::Events(_) | Answer::Explained(_) => Err(Error::unavailable("the job is of another version")),
    }
}

fn period(text: &str) -> Result<Period, String> {
    text.parse()
}
