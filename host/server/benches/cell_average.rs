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
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

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

/// Runs a process to its end. Peak memory is the largest of all children so far, so smaller processes come later.
fn measured(mut command: Command) -> Result<Usage> {
    let before = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    ensure!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |usage: &nix::sys::resource::Usage| {
        (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
    };
    Ok(Usage { cpu_seconds: seconds(&after) - seconds(&before), peak_mib: after.max_rss() as f64 / 1024.0 })
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
