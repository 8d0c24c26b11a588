//! A plugin with everything that a job puts around it: the host's own windows, states, order and decoder, production
//! limits. What the engine does in epochs happens here step by step, as the script of a case says.

use super::header::Header;
use super::output::{Output, Way};
use super::row::Row;
use super::rows::{Reader, emitted, row_of};
use std::sync::Arc;
use wasmill_plugin::{Component, Host, Kind, Limits};
use wasmill_stream::backlog::Backlog;
use wasmill_stream::plugin::{Aggregate, Needs, Process, Reject, Rows, Side, Transform, View};
use wasmill_stream::process::{KeyedRows, Order, States, Turned};
use wasmill_stream::window::{Advanced, RefusedWindow, Windows};
use wasmill_stream::{Batch, Binary, Error, GuestLedger, Result, key};

/// About how many rows that have waited go into one call, as in the engine.
const CALL_ROWS: usize = 4_096;

/// A step without a job.
pub struct Stage {
    logic: Logic,
    needs: Needs,
    reader: Reader,
    ledger: Arc<GuestLedger>,
}

#[expect(clippy::large_enum_variant, reason = "there is one per case")]
enum Logic {
    Transform(Box<dyn Transform>),
    Aggregate(Box<dyn Aggregate>, Windows),
    Process { logic: Box<dyn Process>, states: States, order: Order, backlog: Backlog },
}

impl Stage {
    /// Sets a plugin up as the header of a case says.
    pub fn new(host: &Host, component: &Component, case: &str, header: &Header) -> Result<Self> {
        check(component, header)?;
        let (settings, limits) = (header.settings.to_string(), Limits::default());
        let settings = settings.as_str();
        let (logic, needs, ledger) = match component.kind() {
            Kind::Transform => {
                let plugin = host.transform(component, case, settings, limits)?;
                (Logic::Transform(plugin.instantiate()?), plugin.needs().clone(), plugin.ledger().clone())
            }
            Kind::Aggregator => {
                let Some(window) = header.window else {
                    return Err(Error::invalid(
                        "the plugin aggregates, but the case has no window; add one to its first line, such as \
                         \"window\": {\"tumbling\": \"1m\"}",
                    ));
                };
                let plugin = host.aggregate(component, case, settings, limits)?;
                let windows = Windows::new(window, header.allowed_lateness);
                let logic = Logic::Aggregate(plugin.instantiate()?, windows);
                (logic, plugin.needs().clone(), plugin.ledger().clone())
            }
            Kind::Process => {
                let plugin = host.process(component, case, settings, limits)?;
                let logic = plugin.instantiate()?;
                // As in a job that says nothing.
                let order = header.order.unwrap_or_default();
                let (states, backlog) = (States::new(plugin.needs()), Backlog::default());
                let logic = Logic::Process { logic, states, order, backlog };
                (logic, plugin.needs().clone(), plugin.ledger().clone())
            }
        };
        Ok(Self { logic, reader: Reader::new(&needs.fields), needs, ledger })
    }

    /// What the plugin has cost.
    pub fn ledger(&self) -> &GuestLedger {
        &self.ledger
    }

    /// Rows go in together.
    pub fn rows(&mut self, rows: &[&Row]) -> Result<Vec<Output>> {
        let batch = self.reader.batch(rows);
        let refused = self.reader.undecodable(&batch);
        let mut outputs: Vec<_> =
            refused.iter().map(|(row, reason)| Output::rejected(reason, row_of(&batch, *row as usize))).collect();
        let kept: Vec<u32> = (0..batch.len() as u32).filter(|row| !refused.contains_key(row)).collect();
        if !kept.is_empty() {
            outputs.extend(self.admitted(batch.select(&kept))?);
        }
        Ok(outputs)
    }

    fn admitted(&mut self, batch: Batch) -> Result<Vec<Output>> {
        let columns: Vec<usize> = (0..self.needs.fields.len()).collect();
        match &mut self.logic {
            Logic::Transform(logic) => {
                let answer = logic.transform(&View::of(&batch, &self.needs, &columns))?;
                let mut outputs = of_rows(&answer.main, answer.sides, &self.needs.sides, &batch, None);
                outputs.extend(rejected(&answer.rejects, &batch));
                Ok(outputs)
            }
            Logic::Aggregate(logic, windows) => {
                let keys = batch.group_keys();
                let view = View::of(&batch, &self.needs, &columns);
                let taken = windows.accumulate(&mut **logic, &keys, &key::hashes(&keys), &view)?;
                let late = taken.late.iter().map(|&row| Output::new(Way::Late, row_of(&batch, row as usize)));
                Ok(late.chain(rejected(&taken.rejects, &batch)).collect())
            }
            Logic::Process { logic, states, order: Order::Arrival, .. } => {
                process(&mut **logic, states, &self.needs, &batch, None)
            }
            Logic::Process { states, backlog, .. } => {
                let rows = 0..batch.len() as u32;
                let is_late = |row: &u32| batch.times[*row as usize] < states.watermark();
                let (late, on_time): (Vec<u32>, Vec<u32>) = rows.partition(is_late);
                let late = late.iter().map(|&row| Output::new(Way::Late, row_of(&batch, row as usize))).collect();
                backlog.hold(&batch, &on_time);
                Ok(late)
            }
        }
    }

    /// Event time moves on.
    pub fn watermark(&mut self, watermark: i64) -> Result<Vec<Output>> {
        match &mut self.logic {
            Logic::Transform(_) => Ok(Vec::new()),
            Logic::Aggregate(logic, windows) => {
                let Advanced { results, refused, .. } = windows.advance(watermark, &mut **logic)?;
                let results = results.iter().flat_map(|batch| (0..batch.len()).map(|row| row_of(batch, row)));
                let results = results.map(|row| Output::new(Way::Main, row));
                Ok(results.chain(refused.into_iter().map(of_window)).collect())
            }
            Logic::Process { logic, states, backlog, .. } => {
                let mut outputs = Vec::new();
                for released in backlog.release(watermark, CALL_ROWS) {
                    let last = released.batch.times.last().copied();
                    outputs.extend(process(&mut **logic, states, &self.needs, &released.batch, last)?);
                }
                while let Some(turned) = states.advance(&mut **logic, watermark)? {
                    outputs.extend(of_turn(turned, &self.needs, &Batch::default()));
                }
                Ok(outputs)
            }
        }
    }

    /// States or accumulators of an older version are rewritten.
    pub fn migrate(&mut self, from: u32, states: &[Vec<u8>]) -> Result<Vec<Output>> {
        let states: Binary = states.iter().collect();
        let migrated = match &mut self.logic {
            Logic::Transform(_) => return Err(Error::invalid("a transform has no states that it could migrate")),
            Logic::Aggregate(logic, _) => logic.migrate(from, &states)?,
            Logic::Process { logic, .. } => logic.migrate(from, &states)?,
        };
        let of_state = |state: &[u8]| Row { value: Some(state.to_vec()), ..Row::default() };
        Ok(migrated.iter().map(|state| Output::new(Way::Migrated, of_state(state))).collect())
    }

    /// What has gone in and cannot come out before event time has moved on, for people.
    pub fn waiting(&self) -> Option<String> {
        let (count, what) = match &self.logic {
            Logic::Transform(_) => (0, ""),
            Logic::Aggregate(_, windows) => (windows.open(), "window"),
            Logic::Process { backlog, .. } => (backlog.len(), "row"),
        };
        match count {
            0 => None,
            1 => Some(format!("1 {what} still waits for a watermark")),
            _ => Some(format!("{count} {what}s still wait for a watermark")),
        }
    }
}

/// Whether the header suits the plugin, and the settings its schema.
fn check(component: &Component, header: &Header) -> Result<()> {
    component.accept_settings(&header.settings)?;
    let kind = component.kind();
    for (name, is_there, of) in
        [("window", header.window.is_some(), Kind::Aggregator), ("order", header.order.is_some(), Kind::Process)]
    {
        if is_there && kind != of {
            return Err(Error::invalid(format!("`{name}` is for plugins of kind {of}, this one is of kind {kind}")));
        }
    }
    Ok(())
}

fn process(
    logic: &mut dyn Process,
    states: &mut States,
    needs: &Needs,
    batch: &Batch,
    until: Option<i64>,
) -> Result<Vec<Output>> {
    let columns: Vec<usize> = (0..needs.fields.len()).collect();
    let keys = batch.group_keys();
    let (hashes, view) = (key::hashes(&keys), View::of(batch, needs, &columns));
    let rows = KeyedRows { keys: &keys, hashes: &hashes, view, ordered: until.is_some() };
    let turned = states.process(logic, &rows, until)?;
    Ok(of_turn(turned, needs, batch))
}

fn of_turn(turned: Turned, needs: &Needs, batch: &Batch) -> Vec<Output> {
    let Turned { keys, answer, .. } = turned;
    let mut outputs = of_rows(&answer.main, answer.sides, &needs.sides, batch, Some(&keys));
    outputs.extend(rejected(&answer.rejects, batch));
    outputs
}

/// The main output, then the side outputs in the order in which they were declared.
fn of_rows(
    main: &Rows,
    mut sides: Vec<(u32, Rows)>,
    declared: &[Side],
    batch: &Batch,
    keys: Option<&Binary>,
) -> Vec<Output> {
    sides.sort_by_key(|(side, _)| *side);
    let rows = emitted(main, batch, keys).into_iter().map(|row| Output::new(Way::Main, row));
    let sides = sides.into_iter().flat_map(|(side, rows)| {
        let name = declared.get(side as usize).map(|side| side.name.clone()).unwrap_or_default();
        let rows = emitted(&rows, batch, keys).into_iter();
        rows.map(move |row| Output::new(Way::Side(name.clone()), row))
    });
    rows.chain(sides).collect()
}

fn rejected<'b>(rejects: &'b [Reject], batch: &'b Batch) -> impl Iterator<Item = Output> + 'b {
    let mut rejects: Vec<_> = rejects.iter().collect();
    rejects.sort_by_key(|reject| reject.row);
    rejects.into_iter().map(|reject| Output::rejected(&reject.reason, row_of(batch, reject.row as usize)))
}

fn of_window(refused: RefusedWindow) -> Output {
    let row = Row { time: Some(refused.window.end - 1), key: Some(refused.key), value: None };
    Output::rejected(refused.reason, row)
}

#[cfg(test)]
mod tests;
