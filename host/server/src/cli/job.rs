//! Reading a job for a command: builds its plugins with progress, draws its problems and warnings.

use super::{JobArguments, compile};
use crate::build;
use crate::job::{self, Builder, Examined, Fetcher, JobFile, Parameters, Plugins};
use crate::report::{self, Style};
use crate::terminal::Terminal;
use miette::Severity;
use tokio::runtime;
use wasmill_connect::component_store::Downloads;
use wasmill_plugin::Host;
use wasmill_stream::{Error, Result};

/// Reads the job that the arguments name. Everything that is wrong or odd has been printed.
pub fn examine(arguments: &JobArguments, build: bool, terminal: &Terminal) -> Result<Examined> {
    let file = JobFile::read(&arguments.job)?;
    examine_file(&file, &arguments.parameters(), build, terminal)
}

/// The same for a file that has been read.
pub fn examine_file(file: &JobFile, parameters: &Parameters, build: bool, terminal: &Terminal) -> Result<Examined> {
    let plugins = Plugins::new(host()?, build.then(|| builder(terminal))).fetching(fetcher(terminal));
    Ok(examine_with(file, parameters, plugins, terminal))
}

/// The same with what brings its plugins.
pub fn examine_with(file: &JobFile, parameters: &Parameters, mut plugins: Plugins, terminal: &Terminal) -> Examined {
    let examined = job::examine(file, parameters, &mut plugins);
    let style = Style::of_stderr();
    let errors = report::draw(file, &examined.problems, Severity::Error, style);
    let warnings = report::draw(file, &examined.warnings, Severity::Warning, style);
    for drawn in [errors, warnings].iter().filter(|drawn| !drawn.is_empty()) {
        terminal.note(&format!("{drawn}\n"));
    }
    if !examined.problems.is_empty() {
        let problems = match examined.problems.len() {
            1 => "1 problem".to_owned(),
            many => format!("{many} problems"),
        };
        terminal.error(&format!("{problems} in {}", file.path().display()));
    }
    examined
}

/// Runs plugins, and compiles them in a child process.
pub fn host() -> Result<Host> {
    Host::confined(compile::child(), compile::cache())
}

/// Fetches components and shows what is going on.
pub fn fetcher(terminal: &Terminal) -> Fetcher {
    let terminal = terminal.clone();
    let downloads = compile::cache_folder().map(|folder| Downloads::new(folder.join("components")));
    Box::new(move |settings, reference, wanted| {
        let line = terminal.line();
        terminal.step(&line, &format!("fetching {reference}"));
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::unavailable("start the I/O thread").with_source(error))?;
        runtime.block_on(settings.fetch(reference, downloads.as_ref(), wanted))
    })
}

/// Builds plugins and shows what is going on.
pub fn builder(terminal: &Terminal) -> Builder {
    let terminal = terminal.clone();
    Box::new(move |dir| {
        let line = terminal.line();
        let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
        build::build(dir, &mut |step| terminal.step(&line, &format!("building {name}: {step}")))
    })
}
