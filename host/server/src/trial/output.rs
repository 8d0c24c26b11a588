//! What leaves a plugin, expected or found: a line of a case that starts with `out`, `rejected` or `migrated`.

use super::json;
use super::row::{Row, bytes_text, read_bytes, read_text};

/// By which way something leaves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The main output.
    Main,
    /// A side output.
    Side(String),
    /// Late, as `STEP.late` in a job.
    Late,
    /// Refused with a reason.
    Rejected,
    /// A state or accumulator that was rewritten.
    Migrated,
}

impl Way {
    /// What it is called in messages.
    pub fn title(&self) -> String {
        match self {
            Self::Main => "`out`".to_owned(),
            Self::Side(name) => format!("`out.{name}`"),
            Self::Late => "`out.late`".to_owned(),
            Self::Rejected => "`rejected`".to_owned(),
            Self::Migrated => "`migrated`".to_owned(),
        }
    }
}

/// Something that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// By which way.
    pub way: Way,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The row; of what was migrated only the value.
    pub row: Row,
}

impl Output {
    /// A row that leaves by a way that needs no reason.
    pub fn new(way: Way, row: Row) -> Self {
        Self { way, reason: None, row }
    }

    /// A refused row.
    pub fn rejected(reason: impl Into<String>, row: Row) -> Self {
        Self { way: Way::Rejected, reason: Some(reason.into()), row }
    }

    /// Reads a line, given its members; `None` if it is about something else.
    pub fn read(members: &[(String, &str)]) -> Option<Result<Self, String>> {
        let (name, text) = members.first()?;
        let way = match name.as_str() {
            "rejected" => return Some(read_rejected(text, &members[1..])),
            "migrated" => Way::Migrated,
            "out" => Way::Main,
            "out.late" => Way::Late,
            other => Way::Side(other.strip_prefix("out.")?.to_owned()),
        };
        if let Some((second, _)) = members.get(1) {
            return Some(Err(format!("`{name}` stands alone on its line, found `{second}` besides it")));
        }
        let row = match way {
            Way::Migrated => read_bytes(name, text).map(|state| Row { value: Some(state), ..Row::default() }),
            _ => json::members(text).and_then(|members| Row::read(&members)),
        };
        Some(row.map(|row| Self::new(way, row)))
    }

    /// The line as a case writes it.
    pub fn text(&self) -> String {
        let row = self.row.text();
        match &self.way {
            Way::Main => format!("{{\"out\": {row}}}"),
            Way::Side(name) => format!("{{\"out.{name}\": {row}}}"),
            Way::Late => format!("{{\"out.late\": {row}}}"),
            Way::Rejected => {
                let reason = serde_json::Value::from(self.reason.as_deref().unwrap_or_default());
                format!("{{\"rejected\": {reason}, \"row\": {row}}}")
            }
            Way::Migrated => {
                let state = self.row.value.as_deref().unwrap_or_default();
                format!("{{\"migrated\": {}}}", bytes_text(state))
            }
        }
    }

    /// Where it is not as this one expects it.
    pub fn differences(&self, found: &Self) -> Vec<json::Difference> {
        let mut differences = Vec::new();
        if self.reason != found.reason {
            let value = |reason: &Option<String>| reason.clone().map(serde_json::Value::from);
            let (expected, found) = (value(&self.reason), value(&found.reason));
            differences.push(json::Difference { path: "reason".to_owned(), expected, found });
        }
        differences.extend(self.row.differences(&found.row));
        differences
    }
}

fn read_rejected(reason: &str, rest: &[(String, &str)]) -> Result<Output, String> {
    let reason = read_text("rejected", reason)?;
    let row = match rest {
        [] => Row::default(),
        [(name, row)] if name == "row" => Row::read(&json::members(row)?)?,
        [(name, _), ..] => return Err(format!("beside `rejected` there may be `row`, found `{name}`")),
    };
    Ok(Output::rejected(reason, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Result<Output, String>> {
        Output::read(&json::members(line).expect(line))
    }

    /// Each way out is read as it is written.
    #[test]
    fn lines_read_as_written() {
        for line in [
            r#"{"out": {"key": "a"}}"#,
            r#"{"out.nameless": {"value": [1]}}"#,
            r#"{"out.late": {"time": "1970-01-01T00:00:00.000Z"}}"#,
            r#"{"rejected": "no \"fare\"", "row": {"text": "x"}}"#,
            r#"{"migrated": {"base64":"/wA="}}"#,
        ] {
            let output = read(line).and_then(Result::ok).expect(line);
            assert_eq!(output.text(), line);
            assert!(output.differences(&output).is_empty());
        }
    }

    /// Other lines are left to others; a line that is one of these and wrong says what may be there.
    #[test]
    fn mistakes_are_named() {
        assert_eq!(read(r#"{"time": 1}"#), None);
        for (line, expected) in [
            (r#"{"out": {}, "side": "x"}"#, "`out` stands alone"),
            (r#"{"rejected": 5}"#, "`rejected`: expected a text, found 5"),
            (r#"{"rejected": "x", "value": 1}"#, "beside `rejected` there may be `row`, found `value`"),
            (r#"{"out": 5}"#, "expected an object in braces, found 5"),
        ] {
            let error = read(line).expect(line).expect_err(line);
            assert!(error.starts_with(expected), "{error}");
        }
        let reasons = Output::rejected("a", Row::default()).differences(&Output::rejected("b", Row::default()));
        assert_eq!(reasons.first().map(|difference| difference.path.as_str()), Some("reason"));
    }
}
