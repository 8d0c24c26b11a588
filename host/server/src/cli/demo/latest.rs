//! The busiest cells of the newest window, read from the demo's result file while it grows.

use serde::Deserialize;
use std::cmp::Reverse;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What the demo shows of a result row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pickups {
    /// The cell.
    pub location: String,
    /// How many trips started there.
    pub pickup_count: u64,
    /// The start of the window, in ISO 8601, so that text order is time order.
    pub window_start: String,
}

/// Follows the result file.
pub struct Latest {
    /// The file's name while it is written.
    path: PathBuf,
    offset: u64,
    /// The begin of a line whose end is not there yet.
    rest: Vec<u8>,
    window: String,
    cells: Vec<Pickups>,
}

impl Latest {
    /// Follows the file that will be called `path` when it is complete.
    pub fn of(path: &Path) -> Self {
        let mut path = path.as_os_str().to_owned();
        path.push(".part");
        Self { path: path.into(), offset: 0, rest: Vec::new(), window: String::new(), cells: Vec::new() }
    }

    /// The start of the newest window and its busiest cells, busiest first.
    pub fn top(&mut self, count: usize) -> (&str, &[Pickups]) {
        // A file that cannot be read now is shown later; the results themselves do not depend on it.
        if let Ok(bytes) = self.read_on() {
            self.take(&bytes);
        }
        self.cells.sort_by_key(|cell| (Reverse(cell.pickup_count), cell.location.clone()));
        (&self.window, &self.cells[..count.min(self.cells.len())])
    }

    fn read_on(&mut self) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else { return };
        let rest = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, rest);
        let rows = lines.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<Pickups>(line).ok());
        for row in rows {
            if row.window_start > self.window {
                self.window.clone_from(&row.window_start);
                self.cells.clear();
            }
            if row.window_start == self.window {
                self.cells.push(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn row(location: &str, pickup_count: u64, window_start: &str) -> String {
        format!(r#"{{"location":"{location}","pickup_count":{pickup_count},"window_start":"{window_start}","x":1}}"#)
    }

    /// Rows arrive in pieces that end anywhere; only those of the newest window count, busiest first.
    #[test]
    fn follows_a_growing_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("counts.jsonl");
        let mut latest = Latest::of(&path);
        assert_eq!(latest.top(3), ("", [].as_slice()), "nothing is written yet");

        let mut file = File::create(dir.path().join("counts.jsonl.part")).expect("a file");
        let rows = [row("a", 5, "T1"), row("b", 2, "T2"), row("c", 9, "T2"), row("a", 50, "T1"), row("d", 4, "T2")];
        let text = rows.join("\n") + "\n";
        for piece in text.as_bytes().chunks(7) {
            file.write_all(piece).expect("written");
            latest.top(1);
        }
        let (window, cells) = latest.top(2);
        let cells: Vec<_> = cells.iter().map(|cell| (cell.location.as_str(), cell.pickup_count)).collect();
        assert_eq!((window, cells), ("T2", vec![("c", 9), ("d", 4)]));
    }
}
