//! The process itself, under the names that Prometheus' client libraries give to such things.

use super::page::Page;
use prometheus_client::registry::Unit;
use std::fs;

/// The clock ticks of a second, in which Linux counts the time of processes: it is fixed for programs.
const TICKS: f64 = 100.0;

impl Page {
    /// What it is and takes. What the system does not say is left out.
    pub(super) fn process(&mut self) {
        let build = [(vec![("version".into(), env!("CARGO_PKG_VERSION").to_owned())], 1.0)];
        self.gauge(("wasmill_build_info", "Which wasmill this is"), None, build);
        let usage = Usage::of("self");
        let own = |value: f64| (Vec::new(), value);
        let cpu = usage.as_ref().map(|usage| own(usage.cpu));
        self.seconds(("process_cpu", "CPU time of the process"), cpu);
        let memory = usage.as_ref().map(|usage| own(usage.resident));
        self.gauge(("process_resident_memory", "Memory that the process has in use"), Some(Unit::Bytes), memory);
        let threads = usage.as_ref().map(|usage| own(usage.threads));
        self.gauge(("process_threads", "Threads of the process"), None, threads);
        let open = fs::read_dir("/proc/self/fd").ok().map(|open| own(open.count() as f64));
        self.gauge(("process_open_fds", "Open files and sockets of the process"), None, open);
    }
}

/// What the system says of a process.
pub struct Usage {
    /// Seconds.
    pub cpu: f64,
    threads: f64,
    /// Bytes.
    pub resident: f64,
}

impl Usage {
    /// Of one, by its number, or `self`.
    pub fn of(process: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        Self::read(&stat, &status)
    }

    /// `stat` and `status`: the files of that name below `/proc/PID`.
    fn read(stat: &str, status: &str) -> Option<Self> {
        // The name of the program may hold spaces and parentheses; the state comes behind it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
        Some(Self {
            cpu: (number(11)? + number(12)?) / TICKS,
            threads: number(17)?,
            resident: kibibytes.trim().parse::<f64>().ok()? * 1024.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with a strange name → its numbers all the same.
    #[test]
    fn what_the_system_says() {
        let stat = "7 (a) S b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 12 0 900 1 2";
        let usage = Usage::read(stat, "Name:\ta\nVmRSS:\t  2048 kB\n").expect("all is there");
        assert_eq!((usage.cpu, usage.threads, usage.resident), (3.0, 12.0, 2_097_152.0));
        assert!(Usage::of("self").is_some_and(|usage| usage.threads >= 1.0 && usage.resident > 0.0));
    }
}
