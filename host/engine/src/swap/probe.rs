//! The first call of an instance that is to take over: with nothing, before anybody depends on it. Whatever a guest does only
//! once, it has done then, and one that fails at any call is refused instead of being tried on rows.

use wasmill_stream::field::Decoder;
use wasmill_stream::plugin::{Fired, Logic, Needs, Timers, Turn, Version, View};
use wasmill_stream::{Binary, Error, ErrorKind, GuestFault, Result};

/// An instance that has answered a call without rows. Not for the threads of workers: it may take as long as any call.
pub fn warmed(version: &Version) -> Result<Logic> {
    let mut logic = version.instantiate()?;
    match probe(&mut logic, version.plugin().needs()) {
        // It has answered: later.
        Err(error) if !matches!(error.kind(), ErrorKind::Guest(GuestFault::Retry)) => Err(error
            .context("probe call")
            .hint("each instance is called once without rows before it takes over; it has to answer")),
        _ => Ok(logic),
    }
}

fn probe(logic: &mut Logic, needs: &Needs) -> Result<()> {
    let nothing = Binary::default();
    let fields = Decoder::new(&needs.fields).decode(&nothing);
    let values = needs.reads_values.then_some(&nothing);
    let view = View { times: &[], keys: Some(&nothing), values, fields: fields.iter().collect() };
    match logic {
        Logic::Transform(logic) => {
            let answer = logic.transform(&view)?;
            let led = answer.sides.iter().map(|(_, rows)| rows).chain([&answer.main]);
            none("transform", led.map(|rows| rows.origins.as_ref().map_or(0, Vec::len)).sum::<usize>())?;
            none("transform", answer.rejects.len())
        }
        Logic::Aggregate(logic) => {
            let answer = logic.accumulate(&nothing, &[], &view)?;
            none("accumulate", answer.accumulators.len() + answer.rejects.len())?;
            let answer = logic.finish(&Fired { windows: &[], keys: &nothing, accumulators: &nothing })?;
            none("finish", answer.values.len() + answer.rejects.len())
        }
        Logic::Process(logic) => {
            let (batch, timers) = (View { keys: None, ..view }, Timers::default());
            let answer = logic.process(&Turn {
                keys: &nothing,
                states: &nothing,
                groups: &[],
                batch,
                timers: &timers,
                watermark: i64::MIN,
                ordered: true,
            })?;
            let led = answer.sides.iter().map(|(_, rows)| rows).chain([&answer.main]);
            none("process", led.map(|rows| rows.origins.as_ref().map_or(0, Vec::len)).sum::<usize>())?;
            none("process", answer.states.len() + answer.timers.len() + answer.rejects.len())
        }
    }
}

/// From nothing comes nothing.
fn none(call: &str, count: usize) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    Err(Error::guest(GuestFault::Contract, format!("`{call}` answered a call without rows as if there were {count}")))
}
