//! A process that does what its rows say, and plays of it in columns.

use super::{KEYS, OfRows, Plugin, wire};
use crate::{
    Accumulator, Batch, Binary, Context, Emit, Failure, Fault, Json, Outputs, Process, Reject, Rows, Settings, Time,
    emit,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Action {
    Add(i64),
    /// A timer, so much later than now.
    Set(i64),
    Delete(i64),
    Forget,
    Emit,
    EmitAside,
    Fail,
}

/// A row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Op {
    pub key: u8,
    pub time: i64,
    pub refuse: bool,
    pub actions: Vec<Action>,
}

/// What a timer does: anything, but it comes to an end.
pub fn actions_of_timer(at: i64) -> &'static [Action] {
    use Action::{Add, Delete, Emit, EmitAside, Forget, Set};
    match at.rem_euclid(5) {
        0 => &[Emit],
        1 => &[Emit, Forget],
        2 => &[EmitAside, Set(3)],
        3 => &[EmitAside, Add(1), Delete(1)],
        _ => &[Set(-2), Emit],
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, crate::Accumulator)]
pub struct State {
    pub count: u32,
    pub sum: i64,
}

#[derive(Settings)]
pub struct Script {}

#[derive(Outputs)]
pub enum Out {
    #[output(main)]
    Main(Json<String>),
    Aside(Json<String>),
}

impl Process for Script {
    type Row = Json<Op>;
    type State = State;
    type Output = Out;

    fn check(&self, Json(op): &Json<Op>, _state: Option<&State>) -> Result<(), Fault> {
        if op.refuse { Err("refused")? } else { Ok(()) }
    }

    fn row(&self, state: &mut Option<State>, Json(op): Json<Op>, context: &mut Context<'_, Out>) {
        state.get_or_insert_default().count += 1;
        run(&op.actions, state, context);
    }

    fn timer(&self, state: &mut Option<State>, context: &mut Context<'_, Out>) {
        run(actions_of_timer(context.time().0), state, context);
    }

    fn migrate(&self, _from_version: u32, state: &[u8]) -> Result<State, Failure> {
        Ok(State { count: 0, sum: i64::from(state[0]) })
    }
}

fn run(actions: &[Action], state: &mut Option<State>, context: &mut Context<'_, Out>) {
    let Time(now) = context.time();
    for action in actions {
        let text = Json(format!("{now}: {}", state.map_or(-1, |state| state.sum)));
        match action {
            Action::Add(number) => state.get_or_insert_default().sum += number,
            Action::Set(after) => context.set_timer(Time(now + after)),
            Action::Delete(after) => context.delete_timer(Time(now + after)),
            Action::Forget => *state = None,
            Action::Emit => context.emit(Out::Main(text)),
            Action::EmitAside => context.emit(Out::Aside(text)),
            Action::Fail => context.fail(Failure::retry(format!("at {now}"))),
        }
    }
}

/// Passes a row on from a timer, where there is none.
#[derive(Settings)]
pub struct PassOn {}

impl Process for PassOn {
    type Row = ();
    type State = u8;
    type Output = Emit;

    fn row(&self, _state: &mut Option<u8>, _row: (), _context: &mut Context<'_, Emit>) {}

    fn timer(&self, _state: &mut Option<u8>, context: &mut Context<'_, Emit>) {
        context.emit(emit());
    }
}

/// Keeps a state of no bytes.
#[derive(Settings)]
pub struct Empty {}

impl Process for Empty {
    type Row = ();
    type State = ();
    type Output = ();

    fn row(&self, _state: &mut Option<()>, _row: (), _context: &mut Context<'_, ()>) {}

    fn timer(&self, state: &mut Option<()>, _context: &mut Context<'_, ()>) {
        *state = Some(());
    }
}

/// A row that came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub key: u8,
    pub output: &'static str,
    pub time: i64,
    pub value: String,
}

/// What there is after some turns. Keys are numbered from 0.
#[derive(Debug, Clone, Default)]
pub struct Played {
    pub states: Vec<Option<State>>,
    pub timers: Vec<(u8, i64)>,
    pub seen: Vec<Seen>,
    pub refused: Vec<Reject>,
}

impl Played {
    pub fn with_timers(timers: Vec<(u8, i64)>) -> Self {
        Self { timers, ..Self::default() }
    }

    /// This and the next turn, which began with its states and timers.
    pub fn then(&self, next: Self) -> Self {
        Self { seen: self.seen.iter().chain(&next.seen).cloned().collect(), ..next }
    }

    /// What came out, per key and output: between those there is no order.
    pub fn sorted(&self) -> Vec<Seen> {
        let mut seen = self.seen.clone();
        seen.sort_by_key(|seen| (seen.key, seen.output));
        seen
    }
}

/// The turn that the host would send.
pub fn turn(before: &Played, ops: &[Op], watermark: i64, ordered: bool) -> wire::Turn {
    let mut states = Binary::default();
    for key in 0..KEYS {
        if let Some(Some(state)) = before.states.get(usize::from(key)) {
            state.encode(&mut states.bytes).expect("plain numbers");
        }
        states.close();
    }
    let (groups, times) = before.timers.iter().map(|&(key, at)| (u32::from(key), at)).unzip();
    let values = ops.iter().map(|op| serde_json::to_vec(op).expect("plain data")).collect();
    let times_of_rows = ops.iter().map(|op| op.time).collect();
    wire::Turn {
        keys: (0..KEYS).map(|key| key.to_string()).collect(),
        states,
        groups: ops.iter().map(|op| u32::from(op.key)).collect(),
        batch: Batch { times: times_of_rows, keys: None, values: Some(values), fields: Vec::new() },
        timers: wire::Timers { groups, times },
        watermark,
        ordered,
    }
}

/// Plays a turn after others.
pub fn play(before: &Played, ops: &[Op], watermark: i64, ordered: bool) -> Played {
    let output = OfRows(Script {}).process(&turn(before, ops, watermark, ordered)).expect("a good turn");
    let state = |bytes: &[u8]| (!bytes.is_empty()).then(|| State::decode(bytes).expect("as it was written"));
    let mut seen = seen("main", &output.main, ops);
    output.sides.iter().for_each(|side| seen.extend(self::seen("aside", &side.rows, ops)));
    let timers = output.timers.groups.iter().map(|&key| key as u8).zip(output.timers.times).collect();
    Played { states: output.states.iter().map(state).collect(), timers, seen, refused: output.rejects }
}

fn seen(output: &'static str, rows: &Rows, ops: &[Op]) -> Vec<Seen> {
    let values = rows.values.as_ref().expect("the process writes values");
    let origin = |at: usize| rows.origins.as_ref().map_or(at, |origins| origins[at] as usize);
    let one = |(at, value)| Seen {
        key: ops.get(origin(at)).map_or_else(|| (origin(at) - ops.len()) as u8, |op| op.key),
        output,
        time: rows.times.as_ref().map_or_else(|| ops[origin(at)].time, |times| times[at]),
        value: String::from_utf8_lossy(value).into_owned(),
    };
    values.iter().enumerate().map(one).collect()
}
