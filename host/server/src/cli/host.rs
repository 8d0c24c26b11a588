//! The arguments that name a host, or a running job: by its file on this machine, or by what a host calls it.

use crate::client::{Client, Place, credentials_of};
use crate::control::{Answer, Request, ask};
use std::path::{Path, PathBuf};
use wasmill_stream::{Error, Result};

/// Where `wasmill serve` listens if nobody says anything else.
const DEFAULT: &str = "http://127.0.0.1:9180";

/// The host to ask.
#[derive(Debug, clap::Args)]
pub struct HostArguments {
    /// The host that runs the job: http://HOST:PORT, https://HOST:PORT or unix:PATH. WASMILL_HOST says it as well,
    /// WASMILL_TOKEN is the token, WASMILL_CERTIFICATES a PEM file of certificates to trust besides those of the system
    #[arg(long, value_name = "HOST", global = true)]
    host: Option<Place>,
}

/// A job that runs.
#[derive(Debug, clap::Args)]
pub struct RunningJob {
    /// The job file; or what a host calls the job, NAME or TENANT:NAME
    job: PathBuf,
    #[command(flatten)]
    host: HostArguments,
}

impl HostArguments {
    /// A client of the host that is named, by argument or environment.
    fn named(&self) -> Result<Option<Client>> {
        let from_environment = || variable("WASMILL_HOST").map(|text| text.parse().map_err(wrong)).transpose();
        let place = match &self.host {
            Some(place) => Some(place.clone()),
            None => from_environment()?,
        };
        place.map(client).transpose()
    }

    /// A client of the host, which listens on this machine if nothing else is said.
    pub fn client(&self) -> Result<Client> {
        match self.named()? {
            Some(client) => Ok(client),
            None => client(DEFAULT.parse().map_err(wrong)?),
        }
    }

    /// A client of the host that runs a job of this name; `None`: it is the job file of a job on this machine. The environment
    /// does not make a name of a file that is there.
    pub fn client_for(&self, job: &Path) -> Result<Option<(Client, String)>> {
        if self.host.is_none() && job.exists() {
            return Ok(None);
        }
        let Some(client) = self.named()? else { return Ok(None) };
        let unnamed = || Error::invalid(format!("{} is not the name of a job", job.display()));
        let name = job.to_str().ok_or_else(unnamed)?.to_owned();
        Ok(Some((client, name)))
    }
}

fn client(place: Place) -> Result<Client> {
    let certificates = variable("WASMILL_CERTIFICATES").map(PathBuf::from);
    Client::new(place, credentials_of(variable("WASMILL_TOKEN"), certificates.as_deref()))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn wrong(why: String) -> Error {
    Error::invalid(format!("WASMILL_HOST: {why}"))
}

impl RunningJob {
    /// Whether it is on this machine, and named by its file.
    pub fn is_local(&self) -> Result<bool> {
        Ok(self.host.client_for(&self.job)?.is_none())
    }

    /// Asks it.
    pub fn answer(&self, request: &Request) -> Result<Answer> {
        if let Some((client, name)) = self.host.client_for(&self.job)? {
            return client.of_job(&name, request);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::unavailable("start the I/O thread").with_source(error))?;
        runtime.block_on(ask(&self.job, request))
    }
}
