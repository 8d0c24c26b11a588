//! What a sink has shown so far. Each piece is looked at once, and again only where it has grown: a job that is killed
//! hundreds of times has written most of its rows long ago.

use super::outlet::{Outlet, Stream};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

/// A file, an object or a document.
pub struct Piece {
    /// Its path, key or id.
    pub name: String,
    /// What changes whenever its text does, if somebody keeps account of that.
    pub tag: String,
    /// Its text; `None`: it is one that is known.
    pub text: Option<String>,
}

/// The rows of one stream that one sink has shown.
#[derive(Default)]
pub struct Sightings {
    pieces: BTreeMap<String, Seen>,
    /// For each row of the answer how often it was seen; of equal rows the first one counts for all.
    found: Vec<usize>,
}

struct Seen {
    tag: String,
    length: usize,
    digest: u64,
}

impl Sightings {
    /// Looks at a sink once more. The error is a row that is none of the answer, which is sorted, or there too often.
    pub fn look(&mut self, outlet: &Outlet, stream: Stream, dir: &Path, answer: &[String]) -> Result<(), String> {
        let lines = match self.news(outlet.pieces(dir, stream, &|name, tag| self.knows(name, tag))) {
            Some(lines) => lines,
            // Something has changed or is gone, such as a result that was corrected: all is counted anew.
            None => {
                *self = Self::default();
                self.news(outlet.pieces(dir, stream, &|_, _| false)).unwrap_or_default()
            }
        };
        self.found.resize(answer.len(), 0);
        for fact in stream.facts(&lines) {
            let first = answer.partition_point(|row| *row < fact);
            let times = answer[first..].partition_point(|row| *row == fact);
            match self.found.get_mut(first).filter(|found| **found < times) {
                Some(found) => *found += 1,
                None => return Err(fact),
            }
        }
        Ok(())
    }

    fn knows(&self, name: &str, tag: &str) -> bool {
        self.pieces.get(name).is_some_and(|seen| seen.tag == tag)
    }

    /// The lines that are new; `None`: not all that was there is still there.
    fn news(&mut self, pieces: Vec<Piece>) -> Option<Vec<String>> {
        let (mut lines, mut known, were_there) = (Vec::new(), 0, self.pieces.len());
        for Piece { name, tag, text } in pieces {
            let before = self.pieces.get(&name);
            known += usize::from(before.is_some());
            let Some(text) = text else { continue };
            let length = before.map_or(0, |seen| seen.length);
            let (old, new) = text.split_at_checked(length)?;
            if before.is_some_and(|seen| seen.digest != digest(old)) {
                return None;
            }
            if !new.is_empty() {
                lines.extend(new.lines().map(str::to_owned));
                self.pieces.insert(name, Seen { tag, length: text.len(), digest: digest(&text) });
            }
        }
        (known == were_there).then_some(lines)
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}
