//! Where the jobs come from: the API of a host.

use crate::client::{Client, Place, credentials_of};
use crate::serve::JobStatus;
use reqwest::Method;
use std::path::Path;
use wasmill_stream::{Error, Result};

/// A host that is asked again and again.
pub struct Feed(Client);

impl Feed {
    /// The host at this place, with the token of the environment.
    pub fn new(host: &str, certificates: Option<&Path>) -> Result<Self> {
        let place: Place = host.parse().map_err(Error::invalid)?;
        Client::new(place, credentials_of(std::env::var("WASMILL_TOKEN").ok(), certificates)).map(Self)
    }

    /// Its jobs as they are now.
    pub fn jobs(&self) -> Result<Vec<JobStatus>> {
        self.0.ask(Method::GET, "/api/v1/jobs", None)
    }
}
