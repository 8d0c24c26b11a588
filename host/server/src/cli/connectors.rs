//! `wasmill connectors`: the types of sources and sinks, from the lists that job files are checked against.

use super::{Exit, stdout};
use wasmill_connect::{ARCHIVES, SINKS, SOURCES};
use wasmill_stream::Result;

/// Prints them.
pub fn run() -> Result<Exit> {
    stdout::line("Sources: [source.NAME] type = …")?;
    for kind in SOURCES {
        stdout::line(format_args!("  {:12} {}", kind.name, kind.about))?;
    }
    stdout::line("Sinks: [sink.NAME] type = …")?;
    for kind in SINKS {
        stdout::line(format_args!("  {:12} {}", kind.name, kind.about))?;
    }
    stdout::line("Archives: [archive] type = …")?;
    for kind in ARCHIVES {
        stdout::line(format_args!("  {:12} {}", kind.name, kind.about))?;
    }
    Ok(Exit::Done)
}
