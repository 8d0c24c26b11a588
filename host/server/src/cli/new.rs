//! `wasmill new`: a plugin project to start from.

use super::{Exit, stdout};
use crate::scaffold::{self, Language, Plan};
use crate::terminal::Terminal;
use std::path::PathBuf;
use wasmill_plugin::Kind;
use wasmill_stream::Result;

/// Write a small plugin project that builds and passes its tests.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The name of the plugin, and of its folder; a path puts it elsewhere
    name: PathBuf,
    /// In which language
    #[arg(long, value_name = "LANGUAGE")]
    lang: Language,
    /// transform: rows in, rows out. aggregator: windows. process: a state and timers for each key
    #[arg(long, value_parser = parse_kind)]
    kind: Kind,
    /// The folder of the Rust SDK, if it is neither in a checkout around the project nor to be written into it
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    let found = Kind::ALL.into_iter().find(|kind| kind.world() == text);
    found.ok_or_else(|| "expected transform, aggregator or process".to_owned())
}

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    let Arguments { name, lang: language, kind, sdk } = arguments;
    let plan = Plan { folder: name, language: *language, kind: *kind, sdk: sdk.as_deref() };
    scaffold::create(&plan)?;
    let folder = name.display();
    stdout::line(&folder)?;
    terminal.note(&format!(
        "\n{folder}/{} has the logic, {folder}/cases what it must do. Next:\n\n  wasmill test {folder}\n",
        language.source()
    ));
    Ok(Exit::Done)
}
