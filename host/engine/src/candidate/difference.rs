//! Where the answers of two versions differ.

use super::Candidacy;
use wasmill_stream::Binary;
use wasmill_stream::plugin::Rows;

/// How much of a value is shown, bytes.
const SHOWN: usize = 400;

/// What both versions made of the same row, timer or window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of what, for people.
    pub of: String,
    /// The incumbent's results, one line each.
    pub incumbent: Vec<String>,
    /// The candidate's.
    pub candidate: Vec<String>,
}

/// One output row, with everything that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line<'a> {
    time: i64,
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// The input of a call, as far as it fills in what answers leave out.
pub struct Given<'f, 'k> {
    /// Tells the time of an origin.
    pub time: &'f dyn Fn(u32) -> i64,
    /// Tells its key.
    pub key: &'f dyn Fn(u32) -> &'k [u8],
}

/// Compares the rows of one output, origin by origin.
pub fn rows(
    candidacy: &Candidacy,
    output: &str,
    count: usize,
    given: &Given<'_, '_>,
    incumbent: &Rows,
    candidate: &Rows,
) {
    if incumbent == candidate {
        return;
    }
    let (mut before, mut after) = (lines(incumbent, count, given), lines(candidate, count, given));
    // Processes may answer in any order, and timers as they fire; rows of one origin keep theirs.
    before.sort_by_key(|(origin, _)| *origin);
    after.sort_by_key(|(origin, _)| *origin);
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    while let Some(origin) = before.peek().into_iter().chain(after.peek()).map(|(origin, _)| *origin).min() {
        let mut own = Vec::new();
        while let Some((_, line)) = before.next_if(|(of, _)| *of == origin) {
            own.push(line);
        }
        let mut other = Vec::new();
        while let Some((_, line)) = after.next_if(|(of, _)| *of == origin) {
            other.push(line);
        }
        if own != other {
            candidacy.differ(|| Difference {
                of: format!(
                    "{output} of key {} at {}",
                    text((given.key)(origin)),
                    wasmill_stream::time::iso8601((given.time)(origin))
                ),
                incumbent: own.iter().map(Line::to_string).collect(),
                candidate: other.iter().map(Line::to_string).collect(),
            });
        }
    }
}

fn lines<'a, 'k: 'a>(rows: &'a Rows, count: usize, given: &Given<'_, 'k>) -> Vec<(u32, Line<'a>)> {
    let origins: Vec<u32> = rows.origins.clone().unwrap_or_else(|| (0..count as u32).collect());
    let line = |(at, origin): (usize, u32)| {
        let own = |column: &'a Option<Binary>| column.as_ref().map(|column| column.get(at));
        let time = rows.times.as_ref().map_or_else(|| (given.time)(origin), |times| times[at]);
        let key = own(&rows.keys).unwrap_or_else(|| (given.key)(origin));
        (origin, Line { time, key, value: own(&rows.values) })
    };
    origins.into_iter().enumerate().map(line).collect()
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.value.map_or_else(|| "(value unchanged)".to_owned(), text);
        write!(f, "{} {} {value}", wasmill_stream::time::iso8601(self.time), text(self.key))
    }
}

/// Bytes as text that does no harm to a terminal.
pub fn text(bytes: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
    let mut text: String = shown.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if bytes.len() > SHOWN {
        text.push('…');
    }
    text
}
