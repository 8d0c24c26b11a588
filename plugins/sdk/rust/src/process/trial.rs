//! Plays a process in tests, one row after the other, with states and timers as the host keeps them.

use super::Process;
use super::player::{NumberedKey, Player, Slot};
use crate::bindings::SideOutput;
use crate::{Columns, Failure, Key, Output, Row, Rows, Time};
use std::collections::BTreeMap;

/// A process under test. Rows are expected in the order of their times: before each, the timers of its key fire.
///
/// ```
/// # use wasmill::{Context, EventTime, Json, Process, Settings, Time, process::Trial};
/// # #[derive(Settings)] struct Repeats {}
/// impl Process for Repeats {
///     type Row = ();
///     type State = u64;
///     type Output = Json<u64>;
///
///     fn row(&self, state: &mut Option<u64>, _row: (), context: &mut Context<'_, Json<u64>>) {
///         let seen = state.get_or_insert_default();
///         *seen += 1;
///         context.emit(Json(*seen));
///     }
/// }
///
/// let mut trial = Trial::new(Repeats {});
/// assert_eq!(trial.row("a", Time(0), ())?[0].value, "1");
/// assert_eq!(trial.row("a", Time(5), ())?[0].value, "2");
/// assert_eq!(trial.row("b", Time(5), ())?[0].to_string(), "main b 1970-01-01T00:00:00.005Z 1");
/// # Ok::<(), wasmill::Fault>(())
/// ```
pub struct Trial<P: Process> {
    process: P,
    watermark: Time,
    slots: BTreeMap<Vec<u8>, Slot<P::State>>,
}

/// A row that a process has emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// The name of the side output, or `main`.
    pub output: String,
    /// Its key.
    pub key: String,
    /// Its event time.
    pub time: Time,
    /// Its value; empty if it is that of the row that it came from.
    pub value: String,
}

impl std::fmt::Display for Emitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.output, self.key, self.time, self.value)
    }
}

impl<P: Process> Trial<P> {
    /// A process that has seen nothing.
    pub fn new(process: P) -> Self {
        Self { process, watermark: Time(i64::MIN), slots: BTreeMap::new() }
    }

    /// The state of a key.
    pub fn state(&self, key: &str) -> Option<&P::State> {
        self.slots.get(key.as_bytes())?.state.as_ref()
    }

    /// The pending timers of a key, by time.
    pub fn timers(&self, key: &str) -> Vec<Time> {
        self.slots.get(key.as_bytes()).map_or(Vec::new(), |slot| slot.timers.iter().copied().map(Time).collect())
    }

    /// Processes a row, after the timers of its key up to its time. Says what is emitted, or why the row is refused.
    pub fn row(&mut self, key: &str, time: Time, row: <P::Row as Row>::Of<'_>) -> Result<Vec<Emitted>, crate::Fault> {
        let slot = self.slots.entry(key.into()).or_default();
        let mut player = Player::new(&self.process, 1, self.watermark);
        let numbered = NumberedKey { number: 0, key: Key::new(key.as_bytes()) };
        player.fire(slot, numbered, time);
        player.row(slot, numbered.key, 0, time, Ok(row));
        player.fire(slot, numbered, self.watermark);
        let columns = player.finish()?;
        match columns.rejects.first() {
            Some(reject) => Err(reject.clone().into()),
            None => Ok(emitted::<P::Output>(&columns, 1, key, time)),
        }
    }

    /// Moves the watermark, and says what the timers emit that it fires: key by key, each by time.
    pub fn watermark(&mut self, watermark: Time) -> Result<Vec<Emitted>, Failure> {
        self.watermark = watermark;
        let mut all = Vec::new();
        for (key, slot) in &mut self.slots {
            let mut player = Player::new(&self.process, 0, watermark);
            player.fire(slot, NumberedKey { number: 0, key: Key::new(key) }, watermark);
            all.extend(emitted::<P::Output>(&player.finish()?, 0, &String::from_utf8_lossy(key), watermark));
        }
        Ok(all)
    }
}

/// The rows of all outputs of a call with `count` rows, the main one first; `key` and `time` are those of the row.
fn emitted<O: Output>(columns: &Columns, count: usize, key: &str, time: Time) -> Vec<Emitted> {
    let sides: Vec<SideOutput> = O::SIDES.iter().map(SideOutput::from).collect();
    let mut all = rows(&columns.main, count, "main", key, time);
    for side in &columns.sides {
        all.extend(rows(&side.rows, count, &sides[side.side as usize].name, key, time));
    }
    all
}

fn rows(rows: &Rows, count: usize, output: &str, key: &str, time: Time) -> Vec<Emitted> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let count = rows.origins.as_ref().map_or(count, Vec::len);
    let row = |at| Emitted {
        output: output.to_owned(),
        key: rows.keys.as_ref().map_or(key.to_owned(), |keys| text(keys.get(at))),
        time: rows.times.as_ref().map_or(time, |times| Time(times[at])),
        value: rows.values.as_ref().map_or(String::new(), |values| text(values.get(at))),
    };
    (0..count).map(row).collect()
}
