//! The contract, played one event at a time on plain lists: in each step the earliest event of a key that may happen does.

use super::KEYS;
use super::script::{Action, Op, Played, Seen, State, actions_of_timer};
use crate::Reject;

/// What a turn after `before` does.
pub fn play(before: &Played, ops: &[Op], watermark: i64, ordered: bool) -> Played {
    let states = (0..KEYS).map(|key| before.states.get(usize::from(key)).copied().flatten()).collect();
    let mut model = Model(Played { states, timers: before.timers.clone(), ..Played::default() });
    for key in 0..KEYS {
        let mut rows: Vec<_> = ops.iter().enumerate().filter(|(_, op)| op.key == key).rev().collect();
        loop {
            let timer = model.0.timers.iter().filter(|timer| timer.0 == key).map(|timer| timer.1).min();
            match (timer, rows.last()) {
                (Some(at), Some((_, row))) if ordered && at <= row.time => model.fire(key, at),
                (_, Some(_)) => rows.pop().into_iter().for_each(|(number, row)| model.row(number, row)),
                (Some(at), None) if at <= watermark => model.fire(key, at),
                _ => break,
            }
        }
    }
    model.0.timers.sort_unstable();
    model.0.refused.sort_by_key(|reject| reject.row);
    model.0
}

struct Model(Played);

impl Model {
    fn fire(&mut self, key: u8, at: i64) {
        self.0.timers.retain(|timer| *timer != (key, at));
        self.run(key, at, actions_of_timer(at));
    }

    fn row(&mut self, number: usize, row: &Op) {
        if row.refuse {
            self.0.refused.push(Reject { row: number as u32, reason: "refused".into() });
        } else {
            self.state(row.key).count += 1;
            self.run(row.key, row.time, &row.actions);
        }
    }

    fn state(&mut self, key: u8) -> &mut State {
        self.0.states[usize::from(key)].get_or_insert(State { count: 0, sum: 0 })
    }

    fn run(&mut self, key: u8, now: i64, actions: &[Action]) {
        for action in actions {
            let sum = self.0.states[usize::from(key)].map_or(-1, |state| state.sum);
            let seen = |output| Seen { key, output, time: now, value: format!("\"{now}: {sum}\"") };
            match *action {
                Action::Add(number) => self.state(key).sum += number,
                Action::Set(after) if self.0.timers.contains(&(key, now + after)) => {}
                Action::Set(after) => self.0.timers.push((key, now + after)),
                Action::Delete(after) => self.0.timers.retain(|timer| *timer != (key, now + after)),
                Action::Forget => self.0.states[usize::from(key)] = None,
                Action::Emit => self.0.seen.push(seen("main")),
                Action::EmitAside => self.0.seen.push(seen("aside")),
                Action::Fail => unreachable!("no generated row fails"),
            }
        }
    }
}
