//! `wasmill swap`: another plugin in a step of a job that runs.

use super::Exit;
use super::stdout::print;
use crate::control::{Answer, Request, ask};
use crate::job::Origin;
use std::path::PathBuf;
use wasmill_plugin::Grant;
use wasmill_stream::{Error, Result};

/// Replace the plugin of a step while its job runs on this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Rows that were read before are the old plugin's, rows read after are the new one's, on all workers. Windows stay open, states
go along: a plugin with a newer version of its state rewrites them, or is refused. A plugin that is refused changes nothing.

The step keeps its settings, limits and grants of the job file. A version that imports more than was granted is refused, with
what is new and what it means; --grant approves it for as long as the job runs. A restart begins with the plugin that the
job file names, and with what the job file grants.")]
pub struct Arguments {
    /// The job file
    job: PathBuf,
    /// The step, or the source whose decoder it is
    step: String,
    /// The component, or the folder of its source; or s3://BUCKET/KEY, or oci://REGISTRY/REPOSITORY@sha256:…
    #[arg(value_parser = |text: &str| Origin::try_from(text.to_owned()))]
    plugin: Origin,
    /// Approve what the component imports, by its name; may be given several times. See `wasmill inspect`
    #[arg(long = "grant", value_name = "NAME")]
    grants: Vec<Grant>,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    let absent = |error| Error::invalid(format!("find {}", arguments.plugin)).with_source(error);
    let plugin = match &arguments.plugin {
        Origin::Path(path) => Origin::Path(path.canonicalize().map_err(absent)?),
        remote => remote.clone(),
    };
    let grants = arguments.grants.iter().map(ToString::to_string).collect();
    let request = Request::Swap { step: arguments.step.clone(), plugin, grants };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::unavailable("start the I/O thread").with_source(error))?;
    match runtime.block_on(ask(&arguments.job, &request))? {
        Answer::Done(done) => {
            print(format!("{done}\n"))?;
            Ok(Exit::Done)
        }
        Answer::Refused(reason) => Err(Error::invalid(reason)),
    }
}
