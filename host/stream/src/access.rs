//! What a job may reach outside, and whose share it takes. It is asked where a setting is read that leads there, so that a job file that wants too much
//! is refused before anything is opened, with the place in the file.

use crate::quota::Quota;
use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::sync::Arc;

/// Something outside that a job would reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach<'a> {
    /// A source of this type.
    Source(&'a str),
    /// A sink of this type.
    Sink(&'a str),
    /// A server, as `https://host:port`. The port is there unless it is the scheme's own.
    Server(&'a str),
    /// A Kinesis stream, by name or ARN.
    Stream(&'a str),
    /// Objects of an S3 bucket whose keys begin so.
    Objects {
        #[allow(missing_docs)]
        bucket: &'a str,
        #[allow(missing_docs)]
        prefix: &'a str,
    },
    /// A DynamoDB table, by name or ARN.
    Table(&'a str),
    /// An SNS topic, by ARN.
    Topic(&'a str),
    /// A namespace of CloudWatch metrics.
    Namespace(&'a str),
    /// An artifact of a registry, as `registry/repository`.
    Artifact(&'a str),
    /// A profile of the machine, or the rights that it has by itself.
    MachineRights,
}

/// Why something may not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barred {
    /// What may not be reached, and who says so.
    pub message: String,
    /// What may be.
    pub hint: String,
}

/// A role of AWS that a job takes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What the session is called: it stands in the audit trail of AWS.
    pub session: String,
    /// What the owner of the role has asked for.
    pub external_id: Option<String>,
    /// What the session may at most, as a policy document.
    pub policy: Option<String>,
    /// Who takes it on for the job and lends it the credentials, as the address of an endpoint of the kind that containers have;
    /// `None`: the job takes it on by itself.
    pub lent_at: Option<String>,
}

/// The only way out of a job: a proxy, which knows where the job may go.
#[derive(Clone, PartialEq, Eq)]
pub struct WayOut {
    /// Its address, `http://HOST:PORT`.
    pub address: String,
    /// What it is told, so that it knows whose connection it is.
    pub user: String,
    /// And that it is.
    pub password: String,
}

impl WayOut {
    /// The address with what it is told.
    pub fn url(&self) -> String {
        self.address.replacen("http://", &format!("http://{}:{}@", self.user, self.password), 1)
    }
}

impl Debug for WayOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WayOut").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What a job may reach. By default everything.
pub trait Access: Debug + Send + Sync {
    /// Whether it may reach this.
    fn allows(&self, reach: Reach<'_>) -> Result<(), Barred> {
        let _ = reach;
        Ok(())
    }

    /// Where a path of the job file leads, if it may go there.
    fn path(&self, path: PathBuf) -> Result<PathBuf, Barred> {
        Ok(path)
    }

    /// Whether sources of plugins may be built. Whoever writes them runs programs on this machine.
    fn builds(&self) -> bool {
        true
    }

    /// What it takes its share of, together with others.
    fn quota(&self) -> Option<Arc<Quota>> {
        None
    }

    /// The role that it takes on wherever the job file names no keys.
    fn role(&self) -> Option<Role> {
        None
    }

    /// The way that all its connections take; `None`: they go where they like.
    fn way_out(&self) -> Option<WayOut> {
        None
    }
}

/// Everything may be reached.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anything;

impl Access for Anything {}
