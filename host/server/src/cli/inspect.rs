//! `wasmill inspect`: what a plugin is, wants, gives and may take.

use super::{Exit, compile, job};
use crate::inspection::Inspection;
use crate::terminal::Terminal;
use std::path::PathBuf;
use wasmill_plugin::Host;
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
    let plugin = &arguments.plugin;
    let file = if plugin.is_dir() { job::builder(terminal)(plugin)? } else { plugin.clone() };
    let bytes = std::fs::read(&file)
        .map_err(|error| Error::invalid(format!("read plugin {}", file.display())).with_source(error))?;
    let host = Host::confined(compile::child(), compile::cache())?;
    let component = host.load(&file.display().to_string(), &bytes)?;
    let inspection = Inspection::new(&host, &component, &bytes, &arguments.settings)?;
    if arguments.json {
        println!("{:#}", inspection.json());
    } else {
        print!("{inspection}");
    }
    Ok(Exit::Done)
}
