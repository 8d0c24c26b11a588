//! Native plugins.

use std::collections::BTreeSet;
use std::sync::Arc;
use wasmill_stream::plugin::*;
use wasmill_stream::{Binary, Error, GuestFault, GuestLedger, Result};

/// What the native transform does besides reading time and key.
#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    Well,
    /// Fails at the key `poison`.
    Fails,
    /// Panics at the key `poison`.
    Panics,
    /// Asks for patience at the key `poison`.
    Waits,
}

/// Reads time and key of a line. Drops the key `skip`, rejects the key `bad`.
pub struct Parse {
    mood: Mood,
    native: Native,
}

/// What every native plugin has.
#[derive(Default, Clone)]
pub struct Native {
    pub identity: Identity,
    pub needs: Needs,
    pub state_version: u32,
    pub ledger: Arc<GuestLedger>,
}

/// Implements [`Plugin`] for plugins with a field `native`.
macro_rules! native {
    ($($plugin:ident),*) => {$(
        impl Plugin for $plugin {
            fn identity(&self) -> &Identity {
                &self.native.identity
            }

            fn needs(&self) -> &Needs {
                &self.native.needs
            }

            fn state_version(&self) -> u32 {
                self.native.state_version
            }

            fn ledger(&self) -> &std::sync::Arc<wasmill_stream::GuestLedger> {
                &self.native.ledger
            }
        }
    )*};
}

pub(crate) use native;

native!(Parse, Count, Number, Echo);

impl Parse {
    pub fn new(mood: Mood) -> Arc<Self> {
        let needs = Needs { reads_values: true, ..Needs::default() };
        Arc::new(Self { mood, native: Native { needs, ..Native::default() } })
    }
}

impl TransformPlugin for Parse {
    fn instantiate(&self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Self { mood: self.mood, native: self.native.clone() }))
    }
}

impl Transform for Parse {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let (mut origins, mut times, mut keys, mut rejects) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (row, line) in batch.values.expect("reads values").iter().enumerate() {
            let line = std::str::from_utf8(line).expect("test lines are text");
            let (time, key) = line.split_once(' ').expect("test lines have two words");
            match (key, self.mood) {
                ("poison", Mood::Fails) => return Err(Error::guest(GuestFault::Trap, "plugin parse: trapped")),
                ("poison", Mood::Panics) => panic!("poison"),
                ("poison", Mood::Waits) => return Err(Error::guest(GuestFault::Retry, "plugin parse: not yet")),
                ("skip", _) => continue,
                ("bad", _) => rejects.push(Reject::new(row as u32, "bad key")),
                _ => {
                    origins.push(row as u32);
                    times.push(time.parse().expect("test times are numbers"));
                    keys.push(key);
                }
            }
        }
        let keys = Some(keys.iter().collect());
        let main = Rows { origins: Some(origins), times: Some(times), keys, values: None };
        Ok(Transformed { main, sides: Vec::new(), rejects })
    }
}

/// Counts rows. Accumulators are decimal text; the result is `KEY COUNT`.
#[derive(Default)]
pub struct Count {
    native: Native,
}

impl AggregatePlugin for Count {
    fn instantiate(&self) -> Result<Box<dyn Aggregate>> {
        Ok(Box::new(Count::default()))
    }
}

fn number(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).expect("text").parse().unwrap_or(0)
}

impl Aggregate for Count {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], _batch: &View<'_>) -> Result<Accumulated> {
        let mut counts: Vec<u64> = accumulators.iter().map(number).collect();
        groups.iter().for_each(|&group| counts[group as usize] += 1);
        let accumulators = counts.iter().map(u64::to_string).collect();
        Ok(Accumulated { accumulators, rejects: Vec::new() })
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        let mut sums = vec![0; count as usize];
        accumulators.iter().zip(groups).for_each(|(one, &group)| sums[group as usize] += number(one));
        Ok(sums.iter().map(u64::to_string).collect::<Binary>().into())
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        let result = |(key, count): (&[u8], &[u8])| [key, b" ", count].concat();
        let values = fired.keys.iter().zip(fired.accumulators.iter()).map(result).collect();
        Ok(Finished { values, ..Finished::default() })
    }
}

/// Numbers the rows of a key. The state is the number; a row becomes `KEY NUMBER TIME`.
pub struct Number {
    native: Native,
}

impl Default for Number {
    fn default() -> Self {
        let needs = Needs { writes_values: true, ..Needs::default() };
        Self { native: Native { needs, ..Native::default() } }
    }
}

impl ProcessPlugin for Number {
    fn instantiate(&self) -> Result<Box<dyn Process>> {
        Ok(Box::new(Number::default()))
    }
}

impl Process for Number {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let mut numbers: Vec<u64> = turn.states.iter().map(number).collect();
        let mut values = Vec::new();
        for (&time, &group) in turn.batch.times.iter().zip(turn.groups) {
            numbers[group as usize] += 1;
            let key = String::from_utf8_lossy(turn.keys.get(group as usize)).into_owned();
            values.push(format!("{key} {} {time}", numbers[group as usize]));
        }
        let main = Rows { values: Some(values.iter().collect()), ..Rows::default() };
        let states = numbers.iter().map(u64::to_string).collect();
        Ok(Processed { states, main, ..Processed::default() })
    }
}

/// Hands its rows on, and behind those of a call, for each key and time, a row of a timer.
pub struct Echo {
    native: Native,
}

impl Echo {
    pub fn new() -> Arc<Self> {
        let needs = Needs { writes_values: true, ..Needs::default() };
        Arc::new(Self { native: Native { needs, ..Native::default() } })
    }
}

impl ProcessPlugin for Echo {
    fn instantiate(&self) -> Result<Box<dyn Process>> {
        Ok(Box::new(Echo { native: self.native.clone() }))
    }
}

impl Process for Echo {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let count = turn.batch.times.len() as u32;
        let fired: BTreeSet<(u32, i64)> = turn.groups.iter().copied().zip(turn.batch.times.iter().copied()).collect();
        let main = Rows {
            origins: Some((0..count).chain(fired.iter().map(|(group, _)| count + group)).collect()),
            times: Some(turn.batch.times.iter().copied().chain(fired.iter().map(|(_, time)| *time)).collect()),
            keys: None,
            values: Some((0..count as usize + fired.len()).map(|_| "{}").collect()),
        };
        Ok(Processed { states: turn.keys.iter().map(|_| "").collect(), main, ..Processed::default() })
    }
}
