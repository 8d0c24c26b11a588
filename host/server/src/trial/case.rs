//! A case as its file has it: a script of JSON lines. Rows go in, watermarks move event time on, and what comes out
//! stands right behind what caused it:
//!
//! ```text
//! # Two requests of a minute, one of them failed.
//! {"settings": {"slow_ms": 500}, "window": {"tumbling": "1m"}}
//! {"time": "2024-05-01T10:00:00Z", "key": "cart", "value": {"status": 200, "millis": 80}}
//! {"time": "2024-05-01T10:00:30Z", "key": "cart", "value": {"status": 503, "millis": 4}}
//! {"watermark": "2024-05-01T10:01:00Z"}
//! {"out": {"key": "cart", "value": {"requests": 2, "failed": 1}}}
//! ```

use super::header::{self, Header};
use super::json;
use super::output::Output;
use super::row::{Row, read_bytes, read_time};
use super::verdict;
use std::path::{Path, PathBuf};
use wasmill_stream::{Error, Result};

/// A case.
#[derive(Debug)]
pub struct Case {
    /// Its file.
    pub path: PathBuf,
    /// The name of its file without `.jsonl`.
    pub name: String,
    /// The first comment.
    pub about: Option<String>,
    /// How the step is set up.
    pub header: Header,
    /// What happens, in order.
    pub blocks: Vec<Block>,
    /// The lines of the file, and which of them are expectations.
    lines: Vec<(String, bool)>,
}

/// Rows that go in together, perhaps an event behind them, and what is expected to come out.
#[derive(Debug, Default, PartialEq)]
pub struct Block {
    /// The number of its last line that is not an expectation, from 1.
    pub line: usize,
    /// The rows, with the numbers of their lines.
    pub rows: Vec<(usize, Row)>,
    /// What happens behind them.
    pub event: Option<Event>,
    /// What should come out.
    pub expected: Vec<Output>,
}

/// What can happen besides rows.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// `{"watermark": "…"}`: no row earlier than this is expected, ms. `"end"`: no row at all.
    Watermark(i64),
    /// `{"migrate": ["…"], "from": 1}`: states or accumulators that an older version has written.
    Migrate {
        /// That version.
        from: u32,
        /// What it has written.
        states: Vec<Vec<u8>>,
    },
}

enum Line {
    Row(Row),
    Event(Event),
    Expected(Output),
}

impl Case {
    /// Reads a case. The error has every problem, each with its line.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::invalid(format!("read case {}", path.display())).with_source(error))?;
        Self::read(path, &text)
    }

    /// Reads the text of a case.
    pub fn read(path: &Path, text: &str) -> Result<Self> {
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (path, about, header) = (path.to_owned(), None, Header::default());
        let mut case = Self { path, name, about, header, blocks: Vec::new(), lines: Vec::new() };
        let mut problems = Vec::new();
        let mut begun = false;
        for (number, line) in (1..).zip(text.lines()) {
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                let words = content.trim_start_matches('#').trim();
                case.about = case.about.or_else(|| (!words.is_empty()).then(|| words.to_owned()));
                case.lines.push((line.to_owned(), false));
                continue;
            }
            let problem = |problem: String| format!("{}:{number}: {problem}", case.path.display());
            match read_line(content, &mut case.header, begun).map_err(problem) {
                Ok(read) => {
                    case.lines.push((line.to_owned(), matches!(read, Some(Line::Expected(_)))));
                    begun |= read.is_some();
                    if let Some(read) = read
                        && let Err(words) = add(&mut case.blocks, number, read)
                    {
                        problems.push(problem(words));
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() && case.blocks.is_empty() {
            problems.push(format!("{}: nothing happens in this case; add a row", case.path.display()));
        }
        if problems.is_empty() { Ok(case) } else { Err(Error::invalid(problems.join("\n"))) }
    }

    /// The text of the case with what was found in the place of what was expected, in those blocks where that is not
    /// the same.
    pub fn updated(&self, found: &[Vec<Output>]) -> String {
        let mut text = String::new();
        let mut blocks = self.blocks.iter().zip(found).peekable();
        let mut is_right = true;
        for (number, (line, is_expected)) in (1..).zip(&self.lines) {
            if !is_expected || is_right {
                text.push_str(line);
                text.push('\n');
            }
            if let Some((block, outputs)) = blocks.next_if(|(block, _)| block.line == number) {
                is_right = verdict::judge(block, outputs).is_none();
                let written = outputs.iter().filter(|_| !is_right);
                written.for_each(|output| text.push_str(&format!("{}\n", output.text())));
            }
        }
        text
    }
}

/// Reads a line that is no comment. `None`: it is the header.
fn read_line(line: &str, header: &mut Header, begun: bool) -> Result<Option<Line>, String> {
    let members = json::members(line)?;
    let Some((first, text)) = members.first() else { return Err("the line says nothing".to_owned()) };
    if header::NAMES.contains(&first.as_str()) {
        if begun {
            return Err(format!("`{first}` belongs into the first line of a case"));
        }
        *header = Header::read(line)?;
        return Ok(None);
    }
    if let Some(output) = Output::read(&members) {
        return output.map(|output| Some(Line::Expected(output)));
    }
    let read = match (first.as_str(), members.len()) {
        ("watermark", 1) => Line::Event(Event::Watermark(read_watermark(text)?)),
        ("migrate" | "from", 2) => Line::Event(read_migration(&members)?),
        ("time" | "key" | "value" | "text" | "base64", _) => {
            let mut row = Row::read(&members)?;
            if row.time.is_none() {
                return Err("the row has no `time`".to_owned());
            }
            row.value.get_or_insert_with(|| b"{}".to_vec());
            Line::Row(row)
        }
        _ => {
            return Err(format!(
                "expected a row {{\"time\": …, \"key\": …, \"value\": …}}, {{\"watermark\": …}}, {{\"migrate\": […], \
                 \"from\": …}}, or an expectation {{\"out\": …}}, {{\"out.NAME\": …}}, {{\"rejected\": …}}, \
                 {{\"migrated\": …}}; found `{first}`"
            ));
        }
    };
    Ok(Some(read))
}

fn read_watermark(text: &str) -> Result<i64, String> {
    if text == "\"end\"" { Ok(i64::MAX) } else { read_time(text).map_err(|problem| format!("{problem} (or \"end\")")) }
}

fn read_migration(members: &[(String, &str)]) -> Result<Event, String> {
    let member = |name: &str| members.iter().find(|(other, _)| other == name).map(|(_, text)| *text);
    let (Some(states), Some(from)) = (member("migrate"), member("from")) else {
        return Err("expected {\"migrate\": [STATES], \"from\": VERSION}".to_owned());
    };
    let from = from.parse().map_err(|_| format!("`from`: expected the number of a version, found {from}"))?;
    let states: Vec<serde_json::Value> =
        serde_json::from_str(states).map_err(|_| format!("`migrate`: expected a list of states, found {states}"))?;
    let states = states.iter().map(|state| read_bytes("migrate", &state.to_string())).collect::<Result<_, _>>()?;
    Ok(Event::Migrate { from, states })
}

/// Adds a line to the last block, or begins one: a block is rows, an event, expectations, in this order.
fn add(blocks: &mut Vec<Block>, number: usize, line: Line) -> Result<(), String> {
    let is_over = |block: &Block| block.event.is_some() || !block.expected.is_empty();
    if !matches!(line, Line::Expected(_)) && blocks.last().is_none_or(is_over) {
        blocks.push(Block::default());
    }
    let Some(block) = blocks.last_mut() else {
        return Err("nothing has gone in yet that something could come of".to_owned());
    };
    match line {
        Line::Row(row) => block.rows.push((number, row)),
        Line::Event(event) => block.event = Some(event),
        Line::Expected(output) => {
            block.expected.push(output);
            return Ok(());
        }
    }
    block.line = number;
    Ok(())
}

impl Event {
    /// What it is called in messages.
    pub fn title(&self) -> String {
        match self {
            Self::Watermark(i64::MAX) => "the watermark \"end\"".to_owned(),
            Self::Watermark(time) => format!("the watermark {}", wasmill_stream::time::iso8601(*time)),
            Self::Migrate { from, .. } => format!("the migration from version {from}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::output::Way;

    const TEXT: &str = r#"# Two windows.
{"settings": {"at_least": 2}}

{"time": "1970-01-01T00:00:01Z", "key": "a", "value": {"n": 1}}
{"time": "1970-01-01T00:00:02Z", "key": "b"}
{"out": {"key": "a"}}
# Time moves on.
{"out": {"key": "b"}}
{"watermark": "1970-01-01T00:01:00Z"}
{"watermark": "end"}
{"rejected": "why"}
"#;

    fn read(text: &str) -> Result<Case, String> {
        Case::read(Path::new("cases/two.jsonl"), text).map_err(|error| error.report())
    }

    /// Rows that stand together go in together; an event, or an expectation, ends a block.
    #[test]
    fn blocks() {
        let case = read(TEXT).expect("a case");
        assert_eq!((case.name.as_str(), case.about.as_deref()), ("two", Some("Two windows.")));
        assert_eq!(case.header.settings, serde_json::json!({"at_least": 2}));
        let shape: Vec<_> =
            case.blocks.iter().map(|block| (block.line, block.rows.len(), block.expected.len())).collect();
        assert_eq!(shape, [(5, 2, 2), (9, 0, 0), (10, 0, 1)]);
        assert_eq!(case.blocks[0].rows[1].1.value.as_deref(), Some(&b"{}"[..]), "no value is an empty object");
        assert_eq!(case.blocks[2].event, Some(Event::Watermark(i64::MAX)));
        let migrate = read("{\"migrate\": [\"s\", {\"base64\": \"/w==\"}], \"from\": 3}").expect("a migration");
        let states = vec![b"s".to_vec(), vec![0xff]];
        assert_eq!(migrate.blocks[0].event, Some(Event::Migrate { from: 3, states }));
    }

    /// An update replaces expectations where they are not met, and keeps everything else as it was written, comments
    /// among it.
    #[test]
    fn updates_in_place() {
        let case = read(TEXT).expect("a case");
        let out = |key: &str| Output::new(Way::Main, Row { key: Some(key.as_bytes().to_vec()), ..Row::default() });
        let refused = vec![Output::rejected("why", Row { time: Some(0), ..Row::default() })];
        let updated = case.updated(&[vec![out("x")], vec![out("y")], refused.clone()]);
        let expected = r#"# Two windows.
{"settings": {"at_least": 2}}

{"time": "1970-01-01T00:00:01Z", "key": "a", "value": {"n": 1}}
{"time": "1970-01-01T00:00:02Z", "key": "b"}
{"out": {"key": "x"}}
# Time moves on.
{"watermark": "1970-01-01T00:01:00Z"}
{"out": {"key": "y"}}
{"watermark": "end"}
{"rejected": "why"}
"#;
        assert_eq!(updated, expected);
        let again = read(&updated).expect("a case");
        assert_eq!(
            again.updated(&[vec![out("x")], Vec::new(), refused]),
            expected.replace("{\"out\": {\"key\": \"y\"}}\n", "")
        );
    }

    /// Every mistake is named with its line, all at once.
    #[test]
    fn mistakes_have_lines() {
        let error = read("{\"out\": {}}\n{\"tme\": 1}\n{\"key\": \"a\"}\n{\"time\": 1}\n{\"settings\": {}}\n{\n")
            .expect_err("a wrong case");
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines.len(), 5, "{error}");
        assert!(lines[0].starts_with("cases/two.jsonl:1: nothing has gone in yet"), "{error}");
        assert!(lines[1].starts_with("cases/two.jsonl:2: expected a row") && lines[1].ends_with("found `tme`"));
        assert_eq!(lines[2], "cases/two.jsonl:3: the row has no `time`");
        assert!(lines[3].starts_with("cases/two.jsonl:5: `settings` belongs into the first line"), "{error}");
        assert!(lines[4].starts_with("cases/two.jsonl:6: this is not JSON"), "{error}");
        let empty = read("# Later.\n{\"settings\": {}}\n").expect_err("a case that would always pass");
        assert_eq!(empty, "cases/two.jsonl: nothing happens in this case; add a row");
    }
}
