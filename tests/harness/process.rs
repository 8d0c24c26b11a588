//! What a process takes, as Linux counts it.

use std::fs;
use std::time::Duration;

/// So much CPU time and memory, and so many threads.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Of all threads since it began, user and system.
    pub cpu: Duration,
    /// Resident now, bytes.
    pub memory: u64,
    /// Threads.
    pub threads: u64,
}

/// What a process takes now.
pub fn taken(id: u32) -> Taken {
    let read = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).expect("it runs, on Linux");
    let stat = read("stat");
    // Behind the name, which may have anything in it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    let status = read("status");
    let number = |key: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    };
    // A tick is a hundredth of a second wherever Linux runs.
    Taken { cpu: Duration::from_millis(ticks * 10), memory: number("VmRSS:") << 10, threads: number("Threads:") }
}
