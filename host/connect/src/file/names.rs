//! How files are called that belong to one sink of one job.

use crate::listing;
use crate::mark::mark;

/// The names of a sink's files in one run.
pub(super) struct Names {
    mark: String,
    run: u64,
}

impl Names {
    /// Of a run.
    pub(super) fn new(job: &str, sink: &str, run: u64) -> Self {
        Self { mark: mark(job, sink), run }
    }

    /// A part of a folder. The run keeps it apart from parts that readers have taken away: no name comes twice, and sorted
    /// names are in the order of their rows. The mark keeps sinks apart that write into the same folder.
    pub(super) fn part(&self, number: u64, suffix: &str) -> String {
        format!("part-{:010}-{number:06}-{}.{suffix}", self.run, self.mark)
    }

    /// What a file is called until it is committed.
    pub(super) fn unfinished(&self, name: &str) -> String {
        format!("{name}.{}-{}.part", self.mark, self.run)
    }

    /// What the n-th listing of this run is called.
    pub(super) fn listing(&self, number: u64) -> String {
        listing::name(self.run, number, &self.mark)
    }

    /// Whether an unfinished file is to be a listing.
    pub(super) fn is_listing(&self, name: &str) -> bool {
        name.starts_with('.') && name.contains(&format!("-{}.json.", self.mark))
    }

    /// What a file of rows that are no lines is called until it is committed. Whoever reads whole folders of such files leaves
    /// it alone.
    pub(super) fn hidden(&self, name: &str) -> String {
        format!(".{}", self.unfinished(name))
    }

    /// Whether an unfinished file is of this sink.
    pub(super) fn is_unfinished(&self, name: &str) -> bool {
        self.run_of(name).is_some()
    }

    /// Whether it is of this run or of one before. A later one would mean that this one is over and does not know it yet.
    pub(super) fn is_leftover(&self, name: &str) -> bool {
        self.run_of(name).is_some_and(|run| run <= self.run)
    }

    fn run_of(&self, name: &str) -> Option<u64> {
        let (_, mark) = name.strip_suffix(".part")?.rsplit_once('.')?;
        mark.strip_prefix(&self.mark)?.strip_prefix('-')?.parse().ok()
    }

    /// Whether a file is a part, finished or not. Those of the first versions have no run in their names.
    pub(super) fn is_part(&self, name: &str) -> bool {
        let name = name.strip_prefix('.').unwrap_or(name);
        let numbers = name.strip_prefix("part-").and_then(|rest| rest.split_once(&format!("-{}.", self.mark)));
        numbers.is_some_and(|(numbers, _)| numbers.split('-').all(|number| number.parse::<u64>().is_ok()))
    }
}
