//! `wasmill inspect`: what a plugin is, wants, gives and may take.

use super::{Exit, stdout};
use crate::inspection::Inspection;
use crate::terminal::Terminal;
use crate::workshop;
use std::path::{Path, PathBuf};
use wasmill_plugin::{Component, Grants, Host, Limits};
use wasmill_stream::{Error, Result};

/// Show what a plugin is, what it wants and gives, and what it may take.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A component, or a plugin's source folder
    plugin: PathBuf,
    /// The settings to ask it with, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = parse_settings)]
    settings: serde_json::Value,
    /// As JSON, for scripts
    #[arg(long)]
    json: bool,
}

fn parse_settings(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(settings @ serde_json::Value::Object(_)) => Ok(settings),
        Ok(_) => Err("expected a JSON object, such as {\"at_least\": 2}".to_owned()),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    let host = workshop::host()?;
    // To look at a plugin, everything is granted: what it asks for is shown.
    let (component, bytes) = load(&arguments.plugin, Grants::ALL, &host, terminal)?;
    let inspection = Inspection::new(&host, &component, &bytes, &arguments.settings)?;
    if arguments.json {
        stdout::line(format_args!("{:#}", inspection.json()))?;
    } else {
        stdout::print(inspection)?;
    }
    Ok(Exit::Done)
}

/// Loads a plugin, which is built if it is a source folder. Its bytes come along.
pub fn load(plugin: &Path, grants: Grants, host: &Host, terminal: &Terminal) -> Result<(Component, Vec<u8>)> {
    let file = if plugin.is_dir() { workshop::builder(terminal)(plugin)? } else { plugin.to_owned() };
    let bytes = std::fs::read(&file)
        .map_err(|error| Error::invalid(format!("read plugin {}", file.display())).with_source(error))?;
    let component = host.load_with(&file.display().to_string(), &bytes, grants, &Limits::default())?;
    Ok((component, bytes))
}
