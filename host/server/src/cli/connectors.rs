//! `wasmill connectors`: the types of sources and sinks, from the lists that job files are checked against.

use super::Exit;
use wasmill_connect::{SINKS, SOURCES};
use wasmill_stream::Result;

/// Prints them.
pub fn run() -> Result<Exit> {
    println!("Sources: [source.NAME] type = …");
    for kind in SOURCES {
        println!("  {:12} {}", kind.name, kind.about);
    }
    println!("Sinks: [sink.NAME] type = …");
    for kind in SINKS {
        println!("  {:12} {}", kind.name, kind.about);
    }
    Ok(Exit::Done)
}
