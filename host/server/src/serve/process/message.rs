//! What a host and the process of a tenant say to each other.

use crate::confinement::Confinement;
use crate::serve::tenant::Settings;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the process is told.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// The first: what it is for.
    Begin(Box<Beginning>),
    /// The file of the tenant says something else now.
    Follow(Box<Settings>),
    /// Somebody asks: the message has an open connection of HTTP.
    Answer,
    /// Every job takes its last checkpoint, and the process ends.
    End,
}

/// What a process is for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Beginning {
    /// The folder of the host, which the process has a part of.
    pub home: PathBuf,
    /// The tenant.
    pub tenant: String,
    /// What its file says.
    pub settings: Settings,
    /// What the way out asks for.
    pub password: String,
    /// What is left to it.
    pub confinement: Confinement,
}

/// What it says itself.
#[derive(Debug, Serialize, Deserialize)]
pub enum Word {
    /// It is confined, and can be asked. The message has the open socket of its own loopback, to which its connections go.
    Ready,
    /// It could not be confined, and why.
    Refused(String),
}
