//! How much a plugin may take in a step: defaults that are on, what a job file may ask for, and the ceiling for that.

use crate::failure::Allowance;
use std::fmt;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::units::{ByteCount, Period};

mod meter;

pub(crate) use meter::Meter;
use meter::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLE_ELEMENTS, MAX_TABLES};

/// Components above this size carry an engine of their own: Python has 18 MiB, JavaScript 12.
const ENGINE_SIZE: ByteCount = ByteCount::new(4 << 20);
const MEMORY: ByteCount = ByteCount::new(64 << 20);
const ENGINE_MEMORY: ByteCount = ByteCount::new(256 << 20);

/// A call may always return so many times the rows and bytes that it was given: a large batch is not the plugin's fault.
const GROWTH: usize = 16;

/// The most timers that a key may have.
pub(crate) const MAX_TIMERS: usize = 1_024;

/// What one instance of a plugin may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories of an instance together. `None`: 64 MiB, or 256 MiB for a component above 4 MiB, which carries
    /// the engine of its language.
    pub memory: Option<ByteCount>,
    /// CPU time for one call with rows.
    pub call: Period,
    /// CPU time for one call from which on it is reported.
    pub slow: Period,
    /// CPU time for instantiating, and for each of `describe` and `configure`.
    pub init: Period,
    /// What one call may return, or 16 times the bytes that it was given if that is more.
    pub output: ByteCount,
    /// How many rows one call may return, or 16 times the rows that it was given if that is more.
    pub rows: usize,
    /// One accumulator, or the state of one key.
    pub state: ByteCount,
    /// What the step may write to the log in a second; the rest is dropped and counted.
    pub log: ByteCount,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: None,
            call: Period::from_millis(1_000),
            slow: Period::from_millis(50),
            init: Period::from_millis(5_000),
            output: ByteCount::new(8 << 20),
            rows: 10_000,
            state: ByteCount::new(1 << 20),
            log: ByteCount::new(64 << 10),
        }
    }
}

impl Limits {
    /// The largest component that is loaded.
    pub const LARGEST_COMPONENT: ByteCount = ByteCount::new(32 << 20);

    /// The most that a job file may ask for, unless whoever runs the host says otherwise.
    pub const CEILING: Self = Self {
        memory: Some(ByteCount::new(1 << 30)),
        call: Period::from_millis(60_000),
        slow: Period::from_millis(60_000),
        init: Period::from_millis(60_000),
        output: ByteCount::new(256 << 20),
        rows: 10_000_000,
        state: ByteCount::new(64 << 20),
        log: ByteCount::new(16 << 20),
    };

    /// Reads the table `limits` of a step: every key is optional, none may exceed the ceiling.
    pub fn read(mut table: Section<'_>, ceiling: &Self, problems: &mut Problems) -> Self {
        let mut limits = Self::default();
        let memory = ceiling.memory.unwrap_or(ENGINE_MEMORY);
        limits.memory = read(&mut table, "memory", memory, problems);
        let mut set = |key, most, to: &mut ByteCount| *to = read(&mut table, key, most, problems).unwrap_or(*to);
        set("output", ceiling.output, &mut limits.output);
        set("state", ceiling.state, &mut limits.state);
        set("log", ceiling.log, &mut limits.log);
        let mut set = |key, most, to: &mut Period| *to = read(&mut table, key, most, problems).unwrap_or(*to);
        set("call", ceiling.call, &mut limits.call);
        set("slow", ceiling.slow, &mut limits.slow);
        set("init", ceiling.init, &mut limits.init);
        limits.rows = read(&mut table, "rows", ceiling.rows, problems).unwrap_or(limits.rows);
        table.finish(problems);
        limits
    }

    /// The limits for a component of this size.
    pub fn for_component(self, size: ByteCount) -> Self {
        let memory = if size > ENGINE_SIZE { ENGINE_MEMORY } else { MEMORY };
        Self { memory: Some(self.memory.unwrap_or(memory)), ..self }
    }

    /// Name, value and meaning of each, for people.
    pub fn lines(&self) -> Vec<(&'static str, String, &'static str)> {
        vec![
            ("memory", self.memory().to_string(), "linear memory of an instance"),
            ("call", self.call.to_string(), "CPU time of a call with rows, then it is stopped"),
            ("slow", self.slow.to_string(), "CPU time of a call from which on it is reported"),
            ("init", self.init.to_string(), "CPU time to start, to describe and to configure"),
            ("output", self.output.to_string(), "returned by a call, or 16 times what it was given"),
            ("rows", self.rows.to_string(), "returned by a call, or 16 times what it was given"),
            ("state", self.state.to_string(), "one accumulator or state"),
            ("timers", MAX_TIMERS.to_string(), "pending for a key"),
            ("log", format!("{}/s", self.log), "written to the log"),
            ("component", Self::LARGEST_COMPONENT.to_string(), "size of the component"),
            ("memories", MAX_MEMORIES.to_string(), "linear memories of an instance"),
            ("tables", format!("{MAX_TABLES} with {MAX_TABLE_ELEMENTS} elements each"), "tables of an instance"),
            ("modules", MAX_CORE_INSTANCES.to_string(), "core instances in an instance"),
        ]
    }

    pub(crate) fn memory(&self) -> ByteCount {
        self.memory.unwrap_or(MEMORY)
    }

    /// For a call with data of this size.
    pub(crate) fn call(&self, bytes: usize) -> Allowance {
        let grown = bytes.saturating_mul(GROWTH) as u64;
        Allowance { cpu: self.call, output: self.output.max(ByteCount::new(grown)) }
    }

    /// For a call of the lifecycle.
    pub(crate) fn init(&self) -> Allowance {
        Allowance { cpu: self.init, output: self.output }
    }

    /// How many rows may come back for so many.
    pub(crate) fn rows(&self, given: usize) -> usize {
        self.rows.max(given.saturating_mul(GROWTH))
    }
}

/// A limit of the job file: more than nothing and at most `most`.
fn read<T>(table: &mut Section<'_>, key: &'static str, most: T, problems: &mut Problems) -> Option<T>
where
    T: serde::de::DeserializeOwned + Default + Ord + fmt::Display,
{
    let (value, place) = table.located::<T>(key, problems)?;
    if value > T::default() && value <= most {
        return Some(value);
    }
    let title = table.title();
    problems.push(place, format!("{title}: `{key}` is {value}, expected more than nothing and at most {most}"));
    None
}

#[cfg(test)]
mod tests;
