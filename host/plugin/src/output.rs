//! What a guest returned, checked before it becomes a stream type: nothing behind this file has to distrust a row
//! number, a length or a time. Errors are fragments that name the column and say what was expected.

use crate::bindings::exports::wasmill::plugin::{aggregation, processing, transformer};
use crate::bindings::wasmill::plugin::types::BinaryResult;
use crate::failure::Failure;
use crate::limits::Limits;
use wasmill_stream::Binary;
use wasmill_stream::plugin::{Accumulated, Finished, Needs, Processed, Transformed, Turn};

mod column;
mod rows;
mod timers;

use column::{binary, rejects};
use rows::{Given, Outputs};

/// The answer of `transform` to a batch of `rows` rows.
pub(crate) fn transformed(
    output: transformer::Output,
    rows: usize,
    needs: &Needs,
    limits: &Limits,
) -> Result<Transformed, Failure> {
    let mut outputs = Outputs::new(Given { rows, keys: None }, needs, limits);
    let main = outputs.main(output.main)?;
    let sides = outputs.sides(output.sides)?;
    let rejects = rejects(output.rejects, rows)?;
    outputs.check_rejects(&rejects, &main, &sides)?;
    Ok(Transformed { main, sides, rejects })
}

/// The answer of `accumulate` to `rows` rows of `accumulators` accumulators.
pub(crate) fn accumulated(
    output: aggregation::Accumulated,
    rows: usize,
    accumulators: usize,
    limits: &Limits,
) -> Result<Accumulated, Failure> {
    Ok(Accumulated {
        accumulators: states("accumulators", output.accumulators, accumulators, limits)?,
        rejects: rejects(output.rejects, rows)?,
    })
}

/// Accumulators or states, of which there must be `count`.
pub(crate) fn states(column: &str, wire: BinaryResult, count: usize, limits: &Limits) -> Result<Binary, Failure> {
    let states = binary(column, wire, count)?;
    let most = usize::try_from(limits.state.bytes()).unwrap_or(usize::MAX);
    if let Some((at, state)) = states.iter().enumerate().find(|(_, state)| state.len() > most) {
        return Err(Failure::output(format!(
            "returned {} bytes as number {at} of `{column}`, at most {} are possible",
            state.len(),
            limits.state
        )));
    }
    Ok(states)
}

/// The answer of `finish` for `accumulators` accumulators.
pub(crate) fn finished(
    output: aggregation::Finished,
    accumulators: usize,
    limits: &Limits,
) -> Result<Finished, Failure> {
    let given = Given { rows: accumulators, keys: None };
    let count = given.count(output.origins.as_deref())?;
    rows::check_total(count, accumulators, limits)?;
    let values = binary("values", output.values, count)?;
    let rejects = rejects(output.rejects, accumulators)?;
    given.check_rejects(&rejects, [output.origins.as_deref()])?;
    Ok(Finished { origins: output.origins, values, rejects })
}

/// The answer of `process` to a turn.
pub(crate) fn processed(
    output: processing::Output,
    turn: &Turn<'_>,
    needs: &Needs,
    limits: &Limits,
) -> Result<Processed, Failure> {
    let (rows, keys) = (turn.groups.len(), turn.keys.len());
    let states = states("states", output.states, keys, limits)?;
    let timers = timers::check(output.timers, keys, turn.watermark)?;
    let mut outputs = Outputs::new(Given { rows, keys: Some(keys) }, needs, limits);
    let main = outputs.main(output.main)?;
    let sides = outputs.sides(output.sides)?;
    let rejects = rejects(output.rejects, rows)?;
    outputs.check_rejects(&rejects, &main, &sides)?;
    Ok(Processed { states, timers, main, sides, rejects })
}

#[cfg(test)]
mod tests;
