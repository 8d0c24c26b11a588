//! Reading a job for a command: builds its plugins with progress, draws its problems and warnings.

use super::JobArguments;
use crate::build;
use crate::job::{self, Builder, Examined, JobFile, Parameters, Plugins};
use crate::report::{self, Style};
use crate::terminal::Terminal;
use miette::Severity;
use wasmill_stream::Result;

/// Reads the job that the arguments name. Everything that is wrong or odd has been printed.
pub fn examine(arguments: &JobArguments, build: bool, terminal: &Terminal) -> Result<Examined> {
    let file = JobFile::read(&arguments.job)?;
    examine_file(&file, &arguments.parameters(), build, terminal)
}

/// The same for a file that has been read.
pub fn examine_file(file: &JobFile, parameters: &Parameters, build: bool, terminal: &Terminal) -> Result<Examined> {
    let mut plugins = Plugins::new(build.then(|| builder(terminal)))?;
    let examined = job::examine(file, parameters, &mut plugins);
    let style = Style::of_stderr();
    for (problems, severity) in [(&examined.problems, Severity::Error), (&examined.warnings, Severity::Warning)] {
        if !problems.is_empty() {
            terminal.note(&report::draw(file, problems, severity, style));
        }
    }
    if !examined.problems.is_empty() {
        let problems = match examined.problems.len() {
            1 => "1 problem".to_owned(),
            many => format!("{many} problems"),
        };
        terminal.error(&format!("{problems} in {}", file.path().display()));
    }
    Ok(examined)
}

/// Builds plugins and shows what is going on.
pub fn builder(terminal: &Terminal) -> Builder {
    let terminal = terminal.clone();
    Box::new(move |dir| {
        let line = terminal.line();
        build::build(dir, &mut |step| terminal.step(&line, step))
    })
}
