//! Names that follow event time: `raw/{+%Y/%m/%d/%H}/` in the settings of a sink, one name per hour, day, month or year.
//! UTC only.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The finest step of a pattern: names of rows of the same hour are equal.
pub const STEP_MILLIS: i64 = 3_600_000;

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimePattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Year,
    Month,
    Day,
    Hour,
}

impl TimePattern {
    /// Reads a pattern: text, and `{+…}` with `%Y`, `%m`, `%d` and `%H` inside.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("{+") {
            let (inside, after) = from.split_once('}').ok_or_else(|| format!("`{{+{from}` has no closing brace"))?;
            push_text(&mut parts, before);
            parse_inside(inside, &mut parts)?;
            rest = after;
        }
        push_text(&mut parts, rest);
        Ok(Self { parts })
    }

    /// Whether the name is the same at all times.
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The name at a time (milliseconds).
    pub fn at(&self, millis: i64) -> String {
        let timestamp = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
        let time = TimeZone::UTC.to_datetime(timestamp);
        self.parts.iter().map(|part| part.text(time)).collect()
    }

    /// The name with `wildcard` in place of everything that depends on time.
    pub fn covering(&self, wildcard: &str) -> String {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                _ if name.ends_with(wildcard) => {}
                _ => name.push_str(wildcard),
            }
        }
        name
    }
}

impl Part {
    fn text(&self, time: DateTime) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Year => format!("{:04}", time.year()),
            Self::Month => format!("{:02}", time.month()),
            Self::Day => format!("{:02}", time.day()),
            Self::Hour => format!("{:02}", time.hour()),
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

fn parse_inside(text: &str, parts: &mut Vec<Part>) -> Result<(), String> {
    let mut pieces = text.split('%');
    push_text(parts, pieces.next().unwrap_or_default());
    for piece in pieces {
        let mut letters = piece.chars();
        parts.push(match letters.next() {
            Some('Y') => Part::Year,
            Some('m') => Part::Month,
            Some('d') => Part::Day,
            Some('H') => Part::Hour,
            _ => return Err(format!("`%{piece}`: only %Y, %m, %d and %H are known")),
        });
        push_text(parts, letters.as_str());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern names the UTC hour of a time, text outside the braces stays as it is.
    #[test]
    fn names_follow_time() {
        let pattern = TimePattern::parse("raw/{+%Y/%m/%d/%H}/x-{+%d}").expect("a pattern");
        assert_eq!(pattern.at(1_357_000_200_000), "raw/2013/01/01/00/x-01");
        assert_eq!(pattern.covering("*"), "raw/*/*/*/*/x-*");
        assert!(!pattern.is_literal());
        assert!(TimePattern::parse("raw/100%").is_ok_and(|pattern| pattern.is_literal()));
    }

    /// An unknown letter and a missing brace are mistakes, not text.
    #[test]
    fn bad_patterns() {
        assert!(TimePattern::parse("{+%Y-%q}").is_err());
        assert!(TimePattern::parse("{+%Y").is_err());
    }
}
