//! A process that does harm, for the tests of the host; see `plugins/hostile/README.md`. It keeps its states and sets no timer,
//! and is written on the bare bindings, because the SDK does not let one lie.

use hostile_deeds::{Deed, not_utf8, stamped};
use std::cell::RefCell;
use wasmill::bindings::process::{Output, Timers, Turn};
use wasmill::bindings::{Description, Failure, Lifecycle, process};
use wasmill::{Binary, Needs, Reject, Rows, Settings, SideOutput, SideRows};

#[derive(Settings)]
struct Hostile {
    /// What it does to bad rows.
    #[setting(default = "nothing")]
    r#do: Deed,
    /// What is wrong with the answer to a turn with bad rows.
    #[setting(default = "honest")]
    answer: Answer,
    /// Rows whose `/id` is a multiple of this are bad; 1 makes all so.
    #[setting(default = 1000, minimum = 1)]
    every: i64,
    /// How much of it: rounds, lines, timers or bytes.
    #[setting(default = 1000000)]
    amount: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
enum Answer {
    /// Rows as they came, states and timers as they were.
    Honest,
    /// One state less than it was given.
    FewerStates,
    /// States of `amount` bytes.
    HugeStates,
    /// An origin that is neither a row nor a key.
    UnknownRow,
    /// A row of a timer without a time.
    TimelessTimer,
    /// A timer that was due already.
    PastTimer,
    /// A timer at the last time there is.
    FarTimer,
    /// `amount` timers for each key.
    ManyTimers,
    /// A timer of a key that was not in the turn.
    UnknownTimer,
    /// Timers backwards.
    DescendingTimers,
    /// The same timer twice.
    SameTimerTwice,
    /// Fewer times of timers than keys.
    ShortTimers,
    /// Rows for a side output that it has not declared.
    UnknownSide,
    /// A refusal of a row that it also gives back.
    RejectedOrigin,
    /// A refusal for a reason that is no UTF-8.
    NotUtf8Reason,
    /// A failure that may pass.
    Retry,
    /// A failure that stops the job.
    Fatal,
}

impl Hostile {
    fn process(&self, turn: Turn) -> Result<Output, Failure> {
        let ids = turn.batch.fields.first().and_then(|ids| ids.ints());
        let ids = ids.ok_or_else(|| Failure::Fatal("the host sent no column of s64 for field /id".into()))?;
        self.r#do.in_call(ids.len());
        let bad: Vec<u32> = (0..).zip(ids).filter(|(_, id)| *id % self.every == 0).map(|(row, _)| row).collect();
        bad.iter().for_each(|_| self.r#do.to_row(self.amount));
        let Turn { states, mut timers, watermark, .. } = turn;
        // Timers that the watermark fires do nothing, and are gone.
        let pending: Vec<_> = timers.times.iter().map(|&at| at > watermark).collect();
        let mut kept = pending.iter();
        timers.times.retain(|_| kept.next().is_some_and(|pending| *pending));
        let mut kept = pending.iter();
        timers.groups.retain(|_| kept.next().is_some_and(|pending| *pending));
        let honest = Output { states, timers, main: Rows::default(), sides: Vec::new(), rejects: Vec::new() };
        match bad.first() {
            Some(&bad) => self.answer(honest, bad, ids.len() as u32, watermark),
            None => Ok(honest),
        }
    }

    fn answer(&self, honest: Output, bad: u32, rows: u32, watermark: i64) -> Result<Output, Failure> {
        let keys = honest.states.len() as u32;
        let timers = |groups: &[u32], times: &[i64]| Timers { groups: groups.to_vec(), times: times.to_vec() };
        let origins = |origins: Vec<u32>| Rows { origins: Some(origins), ..Rows::default() };
        let next = watermark.saturating_add(1);
        let first = |times: &[i64]| timers(&vec![0; times.len()], times);
        Ok(match self.answer {
            Answer::Honest => honest,
            Answer::FewerStates => Output { states: honest.states.iter().skip(1).collect(), ..honest },
            Answer::HugeStates => Output { states: (0..keys).map(|_| vec![1; self.amount]).collect(), ..honest },
            Answer::UnknownRow => Output { main: origins(vec![rows + keys]), ..honest },
            Answer::TimelessTimer => Output { main: origins(vec![rows]), ..honest },
            Answer::PastTimer => Output { timers: first(&[watermark]), ..honest },
            Answer::FarTimer => Output { timers: first(&[i64::MAX]), ..honest },
            Answer::ManyTimers => {
                let times: Vec<i64> = (0..self.amount as i64).map(|after| next.saturating_add(after)).collect();
                let groups = (0..keys).flat_map(|key| vec![key; times.len()]).collect();
                let times = (0..keys).flat_map(|_| times.clone()).collect();
                Output { timers: Timers { groups, times }, ..honest }
            }
            Answer::UnknownTimer => Output { timers: timers(&[keys], &[next]), ..honest },
            Answer::DescendingTimers => Output { timers: first(&[next.saturating_add(1), next]), ..honest },
            Answer::SameTimerTwice => Output { timers: first(&[next, next]), ..honest },
            Answer::ShortTimers => Output { timers: timers(&[0], &[]), ..honest },
            Answer::UnknownSide => Output { sides: vec![SideRows { side: 1, rows: Rows::default() }], ..honest },
            Answer::RejectedOrigin => Output { rejects: vec![Reject { row: bad, reason: "both".into() }], ..honest },
            Answer::NotUtf8Reason => {
                let others = (0..rows).filter(|row| *row != bad).collect();
                let rejects = vec![Reject { row: bad, reason: not_utf8() }];
                Output { main: origins(others), rejects, ..honest }
            }
            Answer::Retry => return Err(Failure::Retry("later, perhaps".into())),
            Answer::Fatal => return Err(Failure::Fatal("it is no use".into())),
        })
    }
}

thread_local! {
    static PLUGIN: RefCell<Option<Hostile>> = const { RefCell::new(None) };
}

struct Component;

impl Lifecycle for Component {
    fn describe() -> Description {
        wasmill::describe!(Hostile, 1)
    }

    fn configure(settings: String) -> Result<Needs, String> {
        wasmill::log::report_panics();
        let plugin: Hostile = stamped().map_or_else(|| wasmill::settings::parse(&settings), Ok)?;
        plugin.r#do.in_configure(plugin.amount)?;
        PLUGIN.set(Some(plugin));
        let side_outputs = vec![SideOutput { name: "aside".into(), writes_values: false }];
        Ok(Needs { fields: vec!["/id: s64".into()], side_outputs, ..Needs::default() })
    }

    fn migrate(_from_version: u32, states: Binary) -> Result<Binary, Failure> {
        Ok(states)
    }
}

impl process::Guest for Component {
    fn process(turn: Turn) -> Result<Output, Failure> {
        let early = || Failure::Fatal("a call came before configure".into());
        PLUGIN.with_borrow(|plugin| plugin.as_ref().ok_or_else(early)?.process(turn))
    }
}

// Without WebAssembly nothing calls the plugin; it is still no dead code.
#[cfg(not(target_arch = "wasm32"))]
const _: fn(String) -> Result<Needs, String> = <Component as Lifecycle>::configure;
#[cfg(not(target_arch = "wasm32"))]
const _: fn(Turn) -> Result<Output, Failure> = <Component as process::Guest>::process;
#[cfg(target_arch = "wasm32")]
wasmill::bindings::export_lifecycle!(Component with_types_in wasmill::bindings::lifecycle);
#[cfg(target_arch = "wasm32")]
wasmill::bindings::export_processing!(Component with_types_in wasmill::bindings::processing);

#[cfg(test)]
mod tests;
