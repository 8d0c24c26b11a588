//! What the demo looks like while it runs: a bar, the state of the job, the busiest cells.

use super::latest::Latest;
use crate::driver::View;
use crate::progress::{Snapshot, clock, grouped, watermark_text};
use crate::terminal::{Line, Terminal};
use std::time::Duration;

/// How often the view changes on a terminal.
const LIVE: Duration = Duration::from_millis(150);
/// How often a line is printed where nothing can be drawn over.
const PLAIN: Duration = Duration::from_secs(2);
/// How many cells are shown.
const CELLS: usize = 5;
/// Width of the bars.
const BAR: usize = 40;

/// The demo's view.
pub struct DemoView {
    terminal: Terminal,
    line: Line,
    trips: u64,
    latest: Latest,
}

impl DemoView {
    /// A view of a job that reads so many trips.
    pub fn new(terminal: &Terminal, trips: u64, latest: Latest) -> Self {
        Self { terminal: terminal.clone(), line: terminal.line(), trips, latest }
    }

    fn draw(&mut self, now: &Snapshot) -> String {
        let done = now.read as f64 / self.trips.max(1) as f64;
        let watermark = now.watermark.map_or_else(|| "none yet".to_owned(), watermark_text);
        let mut text = format!("{} {:3.0} %  {}\n\n", bar(done), 100.0 * done, clock(now.elapsed));
        for (name, value) in [
            ("trips read", grouped(now.read)),
            ("trips per second", grouped(now.rate as u64)),
            ("watermark", watermark),
            ("windows fired", grouped(now.fired)),
            ("late, rejected", format!("{}, {}", grouped(now.late), grouped(now.rejected))),
        ] {
            text.push_str(&format!("  {name:<17} {value}\n"));
        }
        let (window, cells) = self.latest.top(CELLS);
        let most = cells.first().map_or(1, |cell| cell.pickup_count);
        text.push_str(&format!("\n  busiest cells of the window {window}\n"));
        for cell in cells {
            let share = bar(cell.pickup_count as f64 / most as f64);
            text.push_str(&format!("  {}  {share} {}\n", cell.location, grouped(cell.pickup_count)));
        }
        text
    }
}

impl View for DemoView {
    fn interval(&self) -> Duration {
        if self.terminal.is_live() { LIVE } else { PLAIN }
    }

    fn show(&mut self, now: &Snapshot) {
        if self.terminal.is_live() {
            let text = self.draw(now);
            self.line.set(text);
            return;
        }
        let (_, cells) = self.latest.top(1);
        let busiest = cells.first().map(|cell| format!("  busiest {} with {}", cell.location, cell.pickup_count));
        self.terminal.note(&format!("{now}{}", busiest.unwrap_or_default()));
    }
}

/// A bar that is full at 1.
fn bar(share: f64) -> String {
    let full = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("{}{}", "━".repeat(full), " ".repeat(BAR - full))
}
