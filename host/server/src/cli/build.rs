//! `wasmill build`: a component from a plugin's source folder, and what it is.

use super::{Exit, stdout};
use crate::terminal::Terminal;
use crate::workshop;
use std::path::PathBuf;
use wasmill_stream::units::ByteCount;
use wasmill_stream::{Error, Result};

/// Make a component of a plugin's source folder.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The folder with the plugin's Cargo.toml, package.json or pyproject.toml
    dir: PathBuf,
}

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    let path = workshop::builder(terminal)(&arguments.dir)?;
    let bytes = std::fs::read(&path)
        .map_err(|error| Error::unavailable(format!("read {}", path.display())).with_source(error))?;
    let component = workshop::host()?.load(&path.display().to_string(), &bytes)?;
    stdout::line(path.display())?;
    stdout::line(format_args!("  plugin  {}", component.describe()))?;
    stdout::line(format_args!("  world   {}", component.kind()))?;
    stdout::line(format_args!("  size    {}", ByteCount::new(bytes.len() as u64)))?;
    stdout::line(format_args!("  sha256  {}", component.digest()))?;
    Ok(Exit::Done)
}
