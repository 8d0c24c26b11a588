//! Draws the problems of a job file with an excerpt of it: in colour on a terminal, in plain ASCII elsewhere.

use crate::job::JobFile;
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Severity,
    SourceCode, SourceSpan, SpanContents,
};
use std::fmt;
use std::io::IsTerminal;
use textwrap::{WordSeparator, WordSplitter};
use wasmill_stream::config::Problem;

/// Longer lines are wrapped.
const WIDTH: usize = 110;

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Lines and colours.
    Colour,
    /// Lines without colours.
    Lines,
    /// ASCII.
    Plain,
}

impl Style {
    /// What suits standard error.
    pub fn of_stderr() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match (std::io::stderr().is_terminal(), no_colour) {
            (false, _) => Self::Plain,
            (true, true) => Self::Lines,
            (true, false) => Self::Colour,
        }
    }

    fn theme(self) -> GraphicalTheme {
        match self {
            Self::Colour => GraphicalTheme::unicode(),
            Self::Lines => GraphicalTheme::unicode_nocolor(),
            Self::Plain => GraphicalTheme::none(),
        }
    }
}

/// Draws problems (`Severity::Error`) or warnings one after the other.
pub fn draw(file: &JobFile, problems: &[Problem], severity: Severity, style: Style) -> String {
    // Messages name paths and imports, which must stay in one piece to be copied: by default miette breaks lines after
    // slashes and hyphens too.
    let handler = GraphicalReportHandler::new_themed(style.theme())
        .with_context_lines(1)
        .with_width(WIDTH)
        .with_break_words(false)
        .with_word_separator(WordSeparator::AsciiSpace)
        .with_word_splitter(WordSplitter::NoHyphenation)
        .with_links(false);
    let mut text = String::new();
    for (at, problem) in problems.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        // Writing to a string does not fail, and `Excerpt` reads any place.
        let _ = handler.render_report(&mut text, &Drawn { problem, excerpt: Excerpt(file), severity });
    }
    text
}

/// A problem as miette wants it.
#[derive(Debug)]
struct Drawn<'a> {
    problem: &'a Problem,
    excerpt: Excerpt<'a>,
    severity: Severity,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.problem.place.clone();
        // Nowhere in particular: the problem is with the whole file.
        if place == (0..0) {
            return None;
        }
        Some(Box::new(std::iter::once(LabeledSpan::new(None, place.start, place.len()))))
    }
}

/// The lines of a place, and no others: with many problems, every line counts.
#[derive(Debug)]
struct Excerpt<'a>(&'a JobFile);

impl SourceCode for Excerpt<'_> {
    /// miette asks twice: without context for line and column, with context for what to print.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = self.0.text();
        let clamp = |at: usize| text.floor_char_boundary(at.min(text.len()));
        let (mut start, mut end) = (clamp(span.offset()), clamp(span.offset() + span.len()));
        if context > 0 {
            start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
            end = text[end..].find('\n').map_or(text.len(), |newline| end + newline + 1);
        }
        let (line, column) = line_and_column(text, start);
        let name = self.0.path().display().to_string();
        let bytes = &text.as_bytes()[start..end];
        let place = (start, end - start).into();
        let lines = text.lines().count();
        Ok(Box::new(MietteSpanContents::new_named(name, bytes, place, line - 1, column - 1, lines)))
    }
}

/// Line and column of a place, from 1.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Off a terminal a problem shows file, line, column, the line itself and the hint, without escape codes.
    #[test]
    fn plain_report() {
        let file = JobFile::new("job.toml", "[source.trips]\ntype = \"replai\"\n");
        let hint = Some("did you mean `replay`?".to_owned());
        let problem = Problem { message: "source trips: there is no type `replai`".to_owned(), place: 22..30, hint };
        let text = draw(&file, &[problem.clone(), problem], Severity::Error, Style::Plain);
        let expected = "  x source trips: there is no type `replai`
   ,-[job.toml:2:8]
 2 | type = \"replai\"
   :        ^^^^^^^^
   `----
  help: did you mean `replay`?
";
        assert_eq!(text, format!("{expected}\n{expected}"));
    }

    /// A problem of the whole file has no excerpt.
    #[test]
    fn report_without_place() {
        let problem = Problem { message: "the job has no sink".to_owned(), place: 0..0, hint: None };
        let text = draw(&JobFile::new("job.toml", ""), &[problem], Severity::Error, Style::Plain);
        assert_eq!(text, "  x the job has no sink\n");
    }

    /// A message of many long names → its lines are wrapped, and each name stands whole on one of them.
    #[test]
    fn names_stay_whole() {
        let names: Vec<_> = (0..30).map(|nth| format!("wasi:cli/terminal-{nth}{}@0.2.9", "x".repeat(nth))).collect();
        let message = format!("step nosy: the component imports {}", names.join(", "));
        let hint = Some(format!("see {}", names.join(" and ")));
        let problem = Problem { message, place: 0..0, hint };
        let text = draw(&JobFile::new("job.toml", ""), &[problem], Severity::Error, Style::Plain);
        let words: Vec<_> = text.split_whitespace().map(|word| word.trim_end_matches(',')).collect();
        for name in &names {
            assert_eq!(words.iter().filter(|word| *word == name).count(), 2, "{name}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH) && text.lines().count() > 10, "{text}");
    }

    /// Columns count characters, not bytes.
    #[test]
    fn columns_are_characters() {
        assert_eq!(line_and_column("a\nü = 1", 4), (2, 2));
        assert_eq!(line_and_column("", 0), (1, 1));
    }
}
