//! What is seen: the jobs as a table, or the steps of one of them. Keys change it, and nothing else does but what the host says. It
//! draws lines and knows no terminal.

use super::columns::{Column, is_up};
use super::words::time;
use crate::progress::grouped;
use crate::serve::{JobStatus, State};
use console::{Key, Style, truncate_str};
use wasmill_stream::units::ByteCount;
use wasmill_stream::{Error, Result};

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Stay,
    Leave,
}

/// What is seen of a host.
pub struct Screen {
    host: String,
    jobs: Vec<JobStatus>,
    /// Why the host could not be asked last time.
    problem: Option<String>,
    sort: Column,
    is_reversed: bool,
    filter: String,
    /// Whether what is typed belongs to the filter.
    is_typing: bool,
    /// The id of the chosen job.
    chosen: Option<String>,
    shows_steps: bool,
}

/// A line, and how it stands out.
struct Line(String, Look);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Head,
    Chosen,
    Good,
    Odd,
    Bad,
}

impl Screen {
    /// Nothing is known yet.
    pub fn new(host: String) -> Self {
        Self {
            host,
            jobs: Vec::new(),
            problem: None,
            sort: Column::Name,
            is_reversed: false,
            filter: String::new(),
            is_typing: false,
            chosen: None,
            shows_steps: false,
        }
    }

    /// The host has said how its jobs are, or could not be asked: then what was known stays.
    pub fn show(&mut self, jobs: Result<Vec<JobStatus>>) {
        self.problem = jobs.as_ref().err().map(Error::report);
        self.jobs = jobs.unwrap_or_else(|_| std::mem::take(&mut self.jobs));
    }

    /// A key was pressed.
    pub fn press(&mut self, key: &Key) -> Flow {
        match key {
            Key::CtrlC => return Flow::Leave,
            Key::Char(typed) if self.is_typing => self.filter.push(*typed),
            Key::Backspace if self.is_typing => drop(self.filter.pop()),
            Key::Enter if self.is_typing => self.is_typing = false,
            Key::Escape if self.is_typing => (self.is_typing, self.filter) = (false, String::new()),
            Key::Char('q') => return Flow::Leave,
            Key::Char('/') if !self.shows_steps => self.is_typing = true,
            Key::Enter => self.shows_steps = self.chosen().is_some(),
            Key::Escape | Key::Backspace if self.shows_steps => self.shows_steps = false,
            Key::Escape => self.filter.clear(),
            Key::ArrowDown | Key::Char('j') => self.step(1),
            Key::ArrowUp | Key::Char('k') => self.step(-1),
            Key::Char(key) if !self.shows_steps => {
                if let Some(column) = Column::of_key(*key) {
                    self.is_reversed = column == self.sort && !self.is_reversed;
                    self.sort = column;
                }
            }
            _ => {}
        }
        Flow::Stay
    }

    /// The jobs that are shown, in their order.
    fn shown(&self) -> Vec<&JobStatus> {
        let filter = self.filter.to_lowercase();
        let fits = |job: &&JobStatus| {
            let words = [Column::Name, Column::Tenant, Column::State].map(|column| column.words(job));
            filter.is_empty() || words.iter().any(|word| word.to_lowercase().contains(&filter))
        };
        let mut shown: Vec<_> = self.jobs.iter().filter(fits).collect();
        shown.sort_by(|a, b| self.sort.order(a, b));
        if self.is_reversed {
            shown.reverse();
        }
        shown
    }

    fn place(&self, shown: &[&JobStatus]) -> usize {
        let place = |id: &String| shown.iter().position(|job| job.id == *id);
        self.chosen.as_ref().and_then(place).unwrap_or(0)
    }

    fn chosen(&self) -> Option<&JobStatus> {
        let shown = self.shown();
        shown.get(self.place(&shown)).copied()
    }

    fn step(&mut self, by: isize) {
        let shown = self.shown();
        let next = self.place(&shown).saturating_add_signed(by).min(shown.len().saturating_sub(1));
        self.chosen = shown.get(next).map(|job| job.id.clone());
    }

    /// As so many lines of such a width at most.
    pub fn draw(&self, width: usize, height: usize, coloured: bool) -> Vec<String> {
        let mut lines = vec![Line(self.title(), Look::Plain)];
        if let Some(problem) = &self.problem {
            lines.extend(problem.lines().map(|line| Line(line.to_owned(), Look::Bad)));
        }
        match self.chosen().filter(|_| self.shows_steps) {
            Some(job) => lines.extend(details(job)),
            None => lines.extend(self.list(height.saturating_sub(lines.len() + 1))),
        }
        lines.truncate(height.saturating_sub(1));
        lines.push(Line(self.help(), Look::Plain));
        // What stands for the rest takes room as well.
        let rest = if width == 0 { "" } else { "…" };
        lines.into_iter().map(|Line(text, look)| look.dress(&truncate_str(&text, width, rest), coloured)).collect()
    }

    fn title(&self) -> String {
        let of = |wanted: fn(State) -> bool| self.jobs.iter().filter(|job| wanted(job.state)).count();
        let running = of(|state| state == State::Running);
        let failed = of(|state| matches!(state, State::Failed | State::Restarting));
        let rate: f64 =
            self.jobs.iter().filter(|job| is_up(job)).flat_map(|job| &job.run).map(|run| run.records_per_second).sum();
        let jobs = self.jobs.len();
        let rate = grouped(rate.round() as u64);
        format!("wasmill  {}  {jobs} jobs, {running} running, {failed} failing  {rate} records/s", self.host)
    }

    /// The table, from a row on with which the chosen one is among the first so many lines.
    fn list(&self, height: usize) -> Vec<Line> {
        let shown = self.shown();
        let place = self.place(&shown);
        let mut rows = rows(&shown, Some((self.sort, self.is_reversed)));
        let head = Line(rows.remove(0), Look::Head);
        let room = height.saturating_sub(1).max(1);
        let first = (place + 1).saturating_sub(room);
        let rows = rows.into_iter().zip(&shown).enumerate().skip(first).take(room);
        let look = |at: usize, job: &JobStatus| if at == place { Look::Chosen } else { Look::of(job) };
        [head].into_iter().chain(rows.map(|(at, (row, job))| Line(row, look(at, job)))).collect()
    }

    fn help(&self) -> String {
        match (self.is_typing, self.shows_steps) {
            (true, _) => format!("show only: {}_", self.filter),
            (_, true) => "esc: back  q: leave".to_owned(),
            _ if !self.filter.is_empty() => format!("only {:?}; esc: all  enter: steps  q: leave", self.filter),
            _ => "enter: steps  /: filter  n t s i o l e c d f: sort  q: leave".to_owned(),
        }
    }
}

impl Look {
    fn of(job: &JobStatus) -> Self {
        let is_stalled = job.run.as_ref().is_some_and(|run| run.stalled.is_some() || !run.paused.is_empty());
        match job.state {
            State::Failed | State::Restarting => Self::Bad,
            State::Running if is_stalled => Self::Odd,
            State::Running => Self::Good,
            State::Starting | State::Stopping => Self::Odd,
            State::Paused | State::Finished => Self::Plain,
        }
    }

    fn dress(self, text: &str, coloured: bool) -> String {
        // Without colours the chosen line still is found.
        let style = Style::new().force_styling(true);
        match (self, coloured) {
            (Self::Plain | Self::Good, false) | (Self::Plain, true) => text.to_owned(),
            (Self::Odd | Self::Bad, false) => text.to_owned(),
            (Self::Head, _) => style.bold().apply_to(text).to_string(),
            (Self::Chosen, _) => style.reverse().apply_to(text).to_string(),
            (Self::Good, true) => style.green().apply_to(text).to_string(),
            (Self::Odd, true) => style.yellow().apply_to(text).to_string(),
            (Self::Bad, true) => style.red().apply_to(text).to_string(),
        }
    }
}

/// All jobs by name, as plain lines.
pub fn table(jobs: &[JobStatus]) -> Vec<String> {
    let mut shown: Vec<&JobStatus> = jobs.iter().collect();
    shown.sort_by(|a, b| Column::Name.order(a, b));
    rows(&shown, None)
}

/// A head, and a line for each job.
fn rows(jobs: &[&JobStatus], sort: Option<(Column, bool)>) -> Vec<String> {
    let title = |column: Column| match sort {
        Some((sorted, is_reversed)) if sorted == column => {
            format!("{}{}", column.title(), if is_reversed { "^" } else { "v" })
        }
        _ => column.title().to_owned(),
    };
    let head = Column::ALL.map(title).to_vec();
    let body = jobs.iter().map(|job| Column::ALL.map(|column| column.words(job)).to_vec());
    align([head].into_iter().chain(body).collect(), &Column::ALL.map(Column::is_number))
}

/// Cells in columns; numbers stand at the right.
fn align(rows: Vec<Vec<String>>, is_number: &[bool]) -> Vec<String> {
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..is_number.len()).map(|at| width(at).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).zip(is_number).map(|((cell, &width), is_number)| match is_number {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect()
}

/// A job, and what becomes of rows in its steps.
fn details(job: &JobStatus) -> Vec<Line> {
    let mut lines = vec![Line(format!("{}  {} since {}", job.id, Column::State.words(job), job.since), Look::Head)];
    let reason = job.reason.iter().flat_map(|reason| reason.lines()).map(str::to_owned);
    lines.extend(reason.map(|line| Line(line, Look::Bad)));
    let Some(run) = &job.run else { return lines };
    lines.extend(run.stalled.iter().map(|stalled| Line(format!("stalled: {stalled}"), Look::Bad)));
    let paused = run.paused.iter().map(|paused| format!("step {} is paused: {}", paused.step, paused.reason));
    lines.extend(paused.map(|line| Line(line, Look::Bad)));
    let remarks = run.remarks.iter().map(|remark| format!("{}: {}", remark.part, remark.remark));
    lines.extend(remarks.map(|line| Line(line, Look::Bad)));
    let watermark = run.watermark.as_deref().unwrap_or("none");
    lines.push(Line(format!("up {}  watermark {watermark}", time(Some(run.uptime))), Look::Plain));
    if let Some(checkpoints) = &run.checkpoints {
        let age = time(checkpoints.age);
        let size = ByteCount::new(checkpoints.written_bytes);
        let (count, took) = (grouped(checkpoints.published), time(Some(checkpoints.took)));
        lines.push(Line(format!("{count} checkpoints, the last {age} ago, {size} in {took}"), Look::Plain));
    }
    let head =
        ["STEP", "READ", "WRITTEN", "IN FLIGHT", "LATE", "REJECTED", "BUSY", "STATE", "WINDOWS", "RETRIES", "PLUGIN"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(run.steps.iter().map(|step| {
        let plugin = step.plugin.as_ref().map_or("-".to_owned(), |plugin| {
            format!("{} {} {}", plugin.name, plugin.version, plugin.sha256.get(..12).unwrap_or(&plugin.sha256))
        });
        let in_flight = grouped(step.in_flight.max(0) as u64);
        let busy = format!("{:.0}%", step.busy * 100.0);
        let state = ByteCount::new(step.state_bytes).to_string();
        let counts = [step.open_windows, step.retries].map(grouped);
        let [windows, retries] = counts;
        let [read, written, late, rejected] = [step.read, step.written, step.late, step.rejected].map(grouped);
        vec![step.name.clone(), read, written, in_flight, late, rejected, busy, state, windows, retries, plugin]
    }));
    let is_number: Vec<bool> = (0..head.len()).map(|at| at != 0 && at + 1 != head.len()).collect();
    let mut rows = align(rows, &is_number).into_iter();
    lines.extend(rows.next().map(|head| Line(head, Look::Head)));
    lines.extend(rows.map(|row| Line(row, Look::Plain)));
    lines
}

#[cfg(test)]
mod tests;
