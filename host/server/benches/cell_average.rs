//! `examples/cell-average` from file to file, beside the same logic in native Rust on one thread with serde_json, in one
//! run: events per CPU-second (user and system time of the whole process) as the slope between a small and a large file,
//! so that start-up is left out, and peak resident memory. The answers of both are compared.
//!
//! `cargo bench -p wasmill-server --bench cell_average`; `WASMILL_BENCH_EVENTS` sets the size of the large file.

#[path = "cell_average/trips.rs"]
mod trips;
#[path = "cell_average/twin.rs"]
mod twin;

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// What one process used.
#[derive(Clone, Copy)]
struct Usage {
    cpu_seconds: f64,
    peak_mib: f64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, input, output] = arguments.as_slice()
        && mode == "--twin"
    {
        return twin::run(Path::new(input), Path::new(output));
    }
    let large: usize = match std::env::var("WASMILL_BENCH_EVENTS") {
        Ok(text) => text.parse().context("WASMILL_BENCH_EVENTS must be a number of events")?,
        Err(_) => 2_000_000,
    };
    let sizes = [large / 4, large];
    let folder = tempfile::tempdir()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let job = root.join("examples/cell-average/job.toml");
    let inputs = sizes.map(|count| folder.path().join(format!("trips-{count}.jsonl")));
    for (count, path) in sizes.iter().zip(&inputs) {
        trips::write(*count, path)?;
    }
    // Builds and compiles the plugins outside the measurement.
    wasmill(&job, &inputs[0], &folder.path().join("warm-up.jsonl"))?;
    let mut slopes = Vec::new();
    for (name, measure) in [("wasmill", true), ("native serde_json", false)] {
        let mut usages = Vec::new();
        for (count, input) in sizes.iter().zip(&inputs) {
            let output = folder.path().join(format!("{}-{count}.jsonl", name.replace(' ', "-")));
            usages.push(if measure { wasmill(&job, input, &output)? } else { native(input, &output)? });
        }
        let slope = (sizes[1] - sizes[0]) as f64 / (usages[1].cpu_seconds - usages[0].cpu_seconds);
        println!(
            "{name:<18} {:>7.2} M events per CPU-second ({:>5.0} ns per event), peak {:>4.0} MiB",
            slope / 1e6,
            1e9 / slope,
            usages[1].peak_mib
        );
        slopes.push(slope);
    }
    println!("{:<18} {:>7.2}", "ratio", slopes[0] / slopes[1]);
    let rows = |name: &str| answer(&folder.path().join(format!("{name}-{}.jsonl", sizes[1])));
    let (ours, theirs) = (rows("wasmill")?, rows("native-serde_json")?);
    ensure!(ours == theirs, "the answers differ: {} rows of wasmill, {} of the twin", ours.len(), theirs.len());
    println!("{:<18} {:>7} rows, the same from both", "answer", ours.len());
    Ok(())
}

fn wasmill(job: &Path, input: &Path, output: &Path) -> Result<Usage> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmill"));
    command.arg("run").arg(job).args(["--workers", "1"]);
    command.args([format!("--set=in={}", input.display()), format!("--set=out={}", output.display())]);
    measured(command)
}

fn native(input: &Path, output: &Path) -> Result<Usage> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--twin").arg(input).arg(output);
    measured(command)
}

/// Runs a process to its end and reads what it used from Linux's `/proc`, which keeps a process until it is waited for.
fn measured(mut command: Command) -> Result<Usage> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let folder = Path::new("/proc").join(child.id().to_string());
    let mut peak_mib: f64 = 0.0;
    let ticks = loop {
        let stat = std::fs::read_to_string(folder.join("stat")).context("this benchmark needs Linux's /proc")?;
        // The name in parentheses may hold spaces; behind it come the state and, 11 fields on, user and system time.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        if fields.first() == Some(&"Z") {
            break fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        }
        let status = std::fs::read_to_string(folder.join("status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
        if let Some(kib) = peak {
            peak_mib = kib.trim().parse::<f64>()? / 1024.0;
        }
        sleep(Duration::from_millis(5));
    };
    ensure!(child.wait()?.success(), "{command:?} failed");
    // Clock ticks of 10 ms on every Linux that Rust supports.
    Ok(Usage { cpu_seconds: ticks / 100.0, peak_mib })
}

/// The result rows without regard to their order, averages to six digits.
fn answer(path: &Path) -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let row = |line: &str| -> Result<String> {
        let row: serde_json::Value = serde_json::from_str(line)?;
        let average = row["average"].as_f64().with_context(|| format!("no average in {line}"))?;
        Ok(format!("{} {} {} {} {average:.6}", row["window_start"], row["cell_lon"], row["cell_lat"], row["count"]))
    };
    text.lines().map(row).collect()
}
