//! Makes jobs of job files: builds, fetches and compiles their plugins, shows what is going on, and draws what is wrong.

use crate::build;
use crate::cli::compile;
use crate::job::{self, Builder, Examined, Fetcher, Job, JobFile, Parameters, Plugins};
use crate::report::{self, Style};
use crate::terminal::Terminal;
use miette::Severity;
use std::sync::{Mutex, PoisonError};
use tokio::runtime;
use wasmill_connect::component_store::Downloads;
use wasmill_plugin::Host;
use wasmill_stream::{Error, Result};

/// Runs plugins, and compiles them in a child process. There is one in a process, however many jobs that has.
pub fn host() -> Result<Host> {
    static HOST: Mutex<Option<Host>> = Mutex::new(None);
    let mut host = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(match &*host {
        Some(host) => host.clone(),
        None => host.insert(Host::confined(compile::child(), compile::cache())?).clone(),
    })
}

/// What brings the plugins of a job.
pub fn plugins(terminal: &Terminal) -> Result<Plugins> {
    Ok(Plugins::new(host()?, Some(builder(terminal))).fetching(fetcher(terminal)))
}

/// Makes the job of a file. What is wrong with it is the error; what is odd has been printed.
pub fn make(file: &JobFile, parameters: &Parameters, terminal: &Terminal) -> Result<Job> {
    let examined = job::examine(file, parameters, &mut plugins(terminal)?);
    let warnings = report::draw(file, &examined.warnings, Severity::Warning, Style::Plain);
    if !warnings.is_empty() {
        terminal.note(&warnings);
    }
    examined.job.ok_or_else(|| {
        let drawn = report::draw(file, &examined.problems, Severity::Error, Style::Plain);
        Error::invalid(format!("{}\n{drawn}", problems(examined.problems.len(), file)))
    })
}

/// Examines a job file. Everything that is wrong or odd has been printed.
pub fn examine(file: &JobFile, parameters: &Parameters, mut plugins: Plugins, terminal: &Terminal) -> Examined {
    let examined = job::examine(file, parameters, &mut plugins);
    let style = Style::of_stderr();
    let errors = report::draw(file, &examined.problems, Severity::Error, style);
    let warnings = report::draw(file, &examined.warnings, Severity::Warning, style);
    for drawn in [errors, warnings].iter().filter(|drawn| !drawn.is_empty()) {
        terminal.note(&format!("{drawn}\n"));
    }
    if !examined.problems.is_empty() {
        terminal.error(&problems(examined.problems.len(), file));
    }
    examined
}

/// How many problems a file has.
fn problems(count: usize, file: &JobFile) -> String {
    let problems = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
    format!("{problems} in {}", file.path().display())
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
