//! `wasmill compile`, hidden: how this program runs itself as a child to work on a component that it does not trust. See
//! `wasmill_plugin::Child`.

use std::path::PathBuf;
use std::process::ExitCode;
use wasmill_plugin::{Cache, Child, Task};

/// The name of the command.
const NAME: &str = "compile";

/// The work of a child process.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// `component`: a component on standard input, machine code on standard output. `settings`: the like for settings
    task: Task,
    /// Bytes of memory
    memory: u64,
    /// Seconds of CPU time
    cpu_seconds: u64,
}

/// Does it.
pub fn run(arguments: &Arguments) -> ExitCode {
    arguments.task.serve(arguments.memory, arguments.cpu_seconds)
}

/// How this program is run as a child.
pub fn child() -> Child {
    Child::this_program([NAME])
}

/// The cache of compiled components in the user's cache folder. Without one every start compiles anew.
pub fn cache() -> Option<Cache> {
    let folder = cache_folder()?.join("compiled");
    Cache::open(&folder, Cache::SIZE)
        .inspect_err(|error| tracing::warn!("no cache of compiled components: {}: {error}", folder.display()))
        .ok()
}

/// `wasmill` in the user's folder for what can be had again.
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache"))).map(|cache| cache.join("wasmill"))
}
