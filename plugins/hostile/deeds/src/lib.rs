//! What the hostile plugins of all worlds do to the host while they work. Nothing, unless their setting `do` says so. What they
//! do in their answers is up to each.

#![expect(clippy::panic, reason = "a plugin that panics is what the host is tested with")]

mod stamp;

pub use stamp::stamped;
use std::hint::black_box;
use wasmill::{Settings, log};

/// The setting `do`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub enum Deed {
    /// Works as it should.
    Nothing,
    /// Never returns.
    Loop,
    /// Takes memory until there is no more.
    Memory,
    /// Calls itself until the stack is full.
    Recursion,
    /// Executes `unreachable`, without a word.
    Trap,
    /// Panics, with a message that has a control character and a second line.
    Panic,
    /// Takes its time: `amount` rounds of about two nanoseconds.
    Slow,
    /// Logs `amount` lines, with control characters in them.
    LogFlood,
    /// Logs one line of `amount` bytes.
    LongLine,
    /// Counts under `amount` names.
    MetricFlood,
    /// Sets gauges and observes numbers that are none, under names that are none.
    BadMetrics,
    /// Executes `unreachable` in a call without rows.
    TrapWithoutRows,
    /// Never returns from a call without rows.
    LoopWithoutRows,
    /// Panics in `configure`.
    PanicInConfigure,
    /// Never returns from `configure`.
    LoopInConfigure,
    /// Refuses to be configured, with `amount` bytes.
    LongRefusal,
}

impl Deed {
    /// What is done in `configure`. An error refuses the settings.
    pub fn in_configure(self, amount: usize) -> Result<(), String> {
        match self {
            Self::PanicInConfigure => panic!("refused to start"),
            Self::LoopInConfigure => forever(),
            Self::LongRefusal => Err("no".repeat(amount / 2)),
            _ => Ok(()),
        }
    }

    /// What is done in a call with so many rows, if that is none.
    pub fn in_call(self, rows: usize) {
        match self {
            Self::TrapWithoutRows if rows == 0 => trap(),
            Self::LoopWithoutRows if rows == 0 => forever(),
            _ => {}
        }
    }

    /// What is done to a bad row.
    pub fn to_row(self, amount: usize) {
        match self {
            Self::Nothing | Self::TrapWithoutRows | Self::LoopWithoutRows => {}
            Self::PanicInConfigure | Self::LoopInConfigure | Self::LongRefusal => {}
            Self::Loop => forever(),
            Self::Memory => take_memory(),
            Self::Recursion => drop(black_box(recurse(u64::MAX))),
            Self::Trap => trap(),
            Self::Panic => panic!("a bad row\u{1b}[31m\nwas seen"),
            Self::Slow => drop(black_box((0..amount as u64).fold(1, mix))),
            Self::LogFlood => (0..amount).for_each(|line| log::warn!("\u{1b}[2J\rline {line}\n\0")),
            Self::LongLine => log::info!("{}", "long ".repeat(amount / 5)),
            Self::MetricFlood => (0..amount).for_each(|number| wasmill::metrics::observe(&format!("m{number}"), 1.0)),
            Self::BadMetrics => {
                for number in [f64::NAN, f64::INFINITY, -f64::INFINITY] {
                    wasmill::metrics::gauge("level", number);
                    wasmill::metrics::observe("distance", number);
                }
                wasmill::metrics::gauge("", 1.0);
                wasmill::metrics::gauge("a{b=\"c\"}\n", 1.0);
            }
        }
    }
}

/// Without an effect an endless loop would be one that the compiler may drop.
fn forever() -> ! {
    loop {
        black_box(0);
    }
}

fn take_memory() {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == 0 { 0 } else { black_box(depth) ^ recurse(depth - 1) }
}

fn trap() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

fn mix(hash: u64, round: u64) -> u64 {
    (black_box(hash) ^ round).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
}

/// A text that is no UTF-8, as nothing but `unsafe` can make one.
pub fn not_utf8() -> String {
    // SAFETY: nothing here looks into it; the canonical ABI hands over its bytes, and the host has to see what they are.
    unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xc3, b'(']) }
}
