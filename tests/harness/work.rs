//! What threads of a process do in a while: CPU time, as Linux counts it, and instructions where the hardware counts them.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// What some threads have done.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// CPU time. Who else had a turn does not count, but what the caches then lack does.
    pub cpu: Duration,
    /// Instructions outside the kernel, which depend on nobody else. `None`: they are not counted here.
    pub instructions: Option<u64>,
}

/// The threads of a process whose names begin so.
pub fn threads(process: u32, name: &str) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs, on Linux");
    let numbers = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    let is_called =
        |id: &u32| fs::read_to_string(format!("/proc/{process}/task/{id}/comm")).is_ok_and(|is| is.starts_with(name));
    numbers.filter(is_called).collect()
}

/// Waits for so long, and says what these threads have done meanwhile.
pub fn of(process: u32, threads: &[u32], span: Duration) -> Work {
    let cpu = || -> Duration {
        let spent = |thread: &u32| -> u64 {
            let text = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a thread that runs")
        };
        Duration::from_nanos(threads.iter().map(spent).sum())
    };
    let before = cpu();
    let instructions = instructions(threads, span);
    Work { cpu: cpu() - before, instructions }
}

/// Waits for so long, and has `perf` count meanwhile. Not every machine has it, and not every machine that has it lets it count.
fn instructions(threads: &[u32], span: Duration) -> Option<u64> {
    let threads: Vec<String> = threads.iter().map(u32::to_string).collect();
    let mut perf = Command::new("perf");
    perf.args(["stat", "-x", ";", "-e", "instructions:u", "-t", &threads.join(","), "--", "sleep"]);
    let Ok(output) = perf.arg(span.as_secs_f64().to_string()).output() else {
        sleep(span);
        return None;
    };
    if !output.status.success() {
        sleep(span);
    }
    counted(&String::from_utf8_lossy(&output.stderr))
}

/// What `perf stat -x ";"` has counted: the first field of its line, unless words stand there.
fn counted(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("instructions"))?;
    line.split(';').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_perf_says() {
        assert_eq!(counted("12345678;;instructions:u;100033;100.00;;\n"), Some(12_345_678));
        assert_eq!(counted("<not supported>;;instructions:u;0;100.00;;\n"), None);
        assert_eq!(counted("sleep: invalid\n"), None);
    }
}
