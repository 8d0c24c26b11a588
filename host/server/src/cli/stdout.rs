//! Standard output: what a command was asked for, and nothing else.

use std::fmt::Display;
use std::io::{self, Write};
use wasmill_connect::stdout::unwritten;
use wasmill_stream::Result;

/// Prints a text. The error of a reader that has gone, such as `head`, ends the command.
pub fn print(text: impl Display) -> Result<()> {
    let mut stdout = io::stdout().lock();
    // In one piece: what a reader sees of a text does not depend on how it is put together.
    stdout.write_all(text.to_string().as_bytes()).and_then(|()| stdout.flush()).map_err(unwritten)
}

/// Prints a line.
pub fn line(text: impl Display) -> Result<()> {
    print(format_args!("{text}\n"))
}
