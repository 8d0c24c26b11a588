//! What one tenant does to the jobs of another on the same host: it takes its share, and is heard of, and that is all.

use crate::harness::chance::count;
use crate::harness::fleet::{Fleet, Serving};
use crate::harness::latency::{Arrivals, percentile};
use crate::harness::metrics::Metrics;
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::search::Search;
use crate::harness::strangers::{HOSTILE, IDENTITY, copy, settle};
use crate::harness::{report, work};
use crate::pipeline::Input;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// 2013-01-01T00:00:00Z
const START: i64 = 1_356_998_400_000;
/// Milliseconds between two rows of the job whose latency is looked at.
const PACE: i64 = 5;
/// What each noisy tenant may have: a fifth of a core.
const SHARE: &str = "[quota]\ncpu = 0.2\nmemory = \"64 MiB\"\nlog = \"16 KiB\"";
/// Everybody here may do that.
const KINDS: &str = "sources = [\"replay\"]\nsinks = [\"file\", \"opensearch\"]";

/// What one look has found of the quiet jobs.
struct Look {
    /// Rows a second of the job that is as fast as it can be.
    throughput: f64,
    /// CPU time of its workers for a row, nanoseconds.
    cost: f64,
    /// Instructions of its workers for a row, where they can be counted.
    instructions: Option<f64>,
    /// How late the slowest of a hundred rows of the other one is.
    latency: Duration,
    /// CPU time a second that a noisy tenant has been charged for.
    noise: f64,
}

/// The quiet jobs, and who looks at them.
struct Quiet<'a> {
    serving: &'a Serving,
    arrivals: &'a Arrivals,
    span: Duration,
    /// When the first row of the steady one came.
    begun: Instant,
    workers: Vec<u32>,
}

impl Quiet<'_> {
    /// What they do alone, or beside a noisy tenant.
    fn look(&self, noisy: Option<&str>) -> Look {
        let charged = |tenant: &str| {
            let tenant = self.serving.get(&format!("/api/v1/tenants/{tenant}"));
            Duration::from_nanos(tenant["rates"]["cpu"]["spent"].as_u64().expect("nanoseconds"))
        };
        let now = || {
            let metrics = Metrics::of(self.serving);
            let rows = metrics.get("wasmill_records_in_total", &["job=\"fast\"", "step=\"cells\""]);
            (Instant::now(), rows, noisy.map(charged).unwrap_or_default())
        };
        let due = |at: Instant| (at - self.begun).as_millis() as i64;
        let (begun, before, noise) = now();
        let done = work::of(self.serving.id(), &self.workers, self.span);
        let (ended, after, noisier) = now();
        // Those that were due at the end have come.
        sleep(Duration::from_millis(500));
        let delays = self.arrivals.delays(due(begun), due(ended));
        let (rows, seconds) = (after - before, (ended - begun).as_secs_f64());
        Look {
            throughput: rows / seconds,
            cost: done.cpu.as_secs_f64() * 1e9 / rows,
            instructions: done.instructions.map(|count| count as f64 / rows),
            latency: percentile(&delays, 99),
            noise: (noisier - noise).as_secs_f64() / seconds,
        }
    }
}

/// The rows of one key: of one cell, a millisecond apart.
fn rows_of_one_key() -> String {
    let row = Input::new(2).text().lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).expect("a row");
    let rows = (0..400_000).map(|at| {
        let mut row = row.clone();
        row["t"] = json!(START + at);
        row.to_string() + "\n"
    });
    rows.collect()
}

/// The noisy tenants, each with the file of its job. What one has to pay for is not waited for by the next.
fn noise(deaf: &Search) -> Vec<(&'static str, String)> {
    let hostile = |name: &'static str, what: &str| {
        let text = copy("out.jsonl", HOSTILE, &format!("settings = {{ {what} }}\nfailures = {{ share = 1.0 }}"));
        (name, format!("{text}[dead_letter]\ntype = \"file\"\npath = \"dead.jsonl\"\noverwrite = true\n"))
    };
    let hot_key = "[source.rows]\ntype = \"replay\"\npath = \"hot.jsonl\"\nevent_time = \"/t: time(unix-ms)\"\n\
                   [step.cells]\ninput = \"rows\"\nplugin = \"../cell-key.wasm\"\n\
                   [step.averages]\ninput = \"cells\"\nplugin = \"../cell-average.wasm\"\nwindow = { tumbling = \"1m\" }\n\
                   [sink.out]\ninput = \"averages\"\ntype = \"file\"\npath = \"hot\"\n";
    let slow_sink = copy("out.jsonl", IDENTITY, "").replace(
        "type = \"file\"\npath = \"out.jsonl\"\noverwrite = true",
        &format!("type = \"opensearch\"\nendpoint = \"{}\"\nindex = \"deaf\"", deaf.url),
    );
    vec![
        hostile("loop", "do = \"loop\", every = 1"),
        hostile("slow-code", "do = \"slow\", every = 1, amount = 500000"),
        hostile("memory-bomb", "do = \"memory\", every = 1"),
        hostile("log-flood", "do = \"log-flood\", every = 1, amount = 20"),
        ("slow-sink", slow_sink),
        ("hot-key", hot_key.to_owned()),
    ]
}

/// Has a noisy tenant come, without its job.
fn settle_noisily(fleet: &Fleet, tenant: &str, deaf: &Search) {
    settle(fleet, tenant, "", 50_000);
    fleet.allow(tenant, &format!("{SHARE}\n[allow]\n{KINDS}\nservers = [\"{}\"]\n", deaf.url));
    let folder = fleet.tenant(tenant);
    if tenant == "hot-key" {
        fs::write(folder.join("hot.jsonl"), rows_of_one_key()).expect("it can be written");
        for plugin in ["cell-key", "cell-average"] {
            fs::copy(component(plugin), folder.join(format!("{plugin}.wasm"))).expect("it was built");
        }
    }
}

/// The jobs of the quiet tenant: one as fast as it can be, one with a row every so often.
fn settle_quietly(fleet: &Fleet, search: &Search, rows: i64) {
    fleet.allow("quiet", &format!("[allow]\n{KINDS}\nservers = [\"{}\"]\n", search.url));
    let folder = fleet.tenant("quiet");
    for plugin in ["identity", "pickup-cell", "pickup-count"] {
        fs::copy(component(plugin), folder.join(format!("{plugin}.wasm"))).expect("it was built");
    }
    let lines = (0..rows).map(|row| json!({"t": START + row * PACE, "id": row}).to_string() + "\n");
    fs::write(folder.join("steady.jsonl"), lines.collect::<String>()).expect("it can be written");
    let steady = format!(
        "[source.rows]\ntype = \"replay\"\npath = \"steady.jsonl\"\ntime = \"/t: time(unix-ms)\"\nspeedup = 1\n\
         event_time = \"/t: time(unix-ms)\"\n[engine]\nepoch = \"20ms\"\n\
         [step.same]\ninput = \"rows\"\nplugin = \"{IDENTITY}\"\n\
         [sink.out]\ninput = \"same\"\ntype = \"opensearch\"\nendpoint = \"{}\"\nindex = \"steady\"\nflush_interval = \"20ms\"\n",
        search.url
    );
    let fast = "[source.trips]\ntype = \"replay\"\ngenerate = \"taxi\"\nevent_time = \"/dropoff_datetime: time\"\n\
                [step.cells]\ninput = \"trips\"\nplugin = \"../pickup-cell.wasm\"\n\
                [step.counts]\ninput = \"cells\"\nplugin = \"../pickup-count.wasm\"\nwindow = { tumbling = \"10m\" }\n\
                [sink.out]\ninput = \"counts\"\ntype = \"file\"\npath = \"fast.jsonl\"\noverwrite = true\n";
    fleet.write_for("quiet", "steady", &steady);
    fleet.write_for("quiet", "fast", fast);
}

/// A tenant has a job as fast as it can be and one with 200 rows a second; beside it comes and goes one noisy tenant after the other,
/// each of which may take a fifth of a core: loops without end, slow code, memory bombs, a log flood, a sink that does not answer, a
/// hot key → no row of the first one is lost, each job of the others can be removed, and what each costs the first one is printed
/// beside what it does alone before and after it.
#[test]
fn a_noisy_neighbour() {
    let span = Duration::from_secs(count("WASMILL_NOISE_SECONDS", 2) as u64);
    let fleet = Fleet::new();
    let (arrivals, deaf) = (Arrivals::new(), Search::start());
    let notes = arrivals.clone();
    let search = Search::start_with(move |index, document| {
        let row: Value = serde_json::from_str(document).expect("documents are JSON");
        notes.note(index, row["t"].as_i64().expect("a time") - START);
    });
    // Longer than all looks and farewells together.
    settle_quietly(&fleet, &search, (span.as_millis() as i64 * 14 + 240_000) / PACE);
    let noise = noise(&deaf);
    noise.iter().for_each(|(tenant, _)| settle_noisily(&fleet, tenant, &deaf));
    let mut serving = fleet.start();
    for job in ["quiet:steady", "quiet:fast"] {
        serving.until(job, "running");
    }
    until("the first rows", || (arrivals.count() > 0).then_some(()));
    let begun = Instant::now();
    sleep(Duration::from_secs(1));
    let workers = work::threads(serving.id(), "timely");
    assert!(!workers.is_empty(), "the workers of the quiet jobs");
    let quiet = Quiet { serving: &serving, arrivals: &arrivals, span, begun, workers };
    let (mut alone, mut beside) = (vec![quiet.look(None)], Vec::new());
    for (tenant, text) in noise {
        fleet.write_for(tenant, "noise", &text);
        if tenant == "slow-sink" {
            until("a document", || (!deaf.documents("deaf").is_empty()).then_some(()));
            deaf.set_deaf(true);
        } else {
            until(&format!("noise of {tenant}"), || {
                let job = serving.ask("GET", &format!("/api/v1/jobs/{tenant}:noise"), "").1;
                let job: Value = serde_json::from_str(&job).unwrap_or_default();
                assert_ne!(job["state"], "failed", "{job}");
                (job["run"]["records_in"].as_u64() > Some(0)).then_some(())
            });
        }
        beside.push((tenant, quiet.look(Some(tenant))));
        fs::remove_file(fleet.tenant(tenant).join("jobs/noise.toml")).expect("it is there");
        // It is gone from the list at once, and from the machine with its last words.
        let whose = format!("tenant={tenant}");
        until(&format!("the end of {tenant}"), || {
            let log = serving.log();
            let mut lines = log.lines().filter(|line| line.ends_with(&whose));
            // What its plugins took, step by step.
            lines.any(|line| line.starts_with("same ") || line.starts_with("averages ")).then_some(())
        });
        alone.push(quiet.look(None));
    }
    tell(&alone, &beside);
    let tenant = serving.get("/api/v1/tenants/loop");
    assert!(tenant["rates"]["cpu"]["waited"].as_f64() > Some(0.0), "it has waited: {tenant}");
    let metrics = Metrics::of(&serving);
    for fate in ["late", "rejected", "filtered"] {
        let metric = format!("wasmill_records_{fate}_total");
        assert_eq!(metrics.find(&metric, &["job=\"steady\"", "step=\"same\""]), Some(0.0));
    }
    for job in ["quiet:steady", "quiet:fast"] {
        assert_eq!(serving.get(&format!("/api/v1/jobs/{job}"))["restarts"], 0);
    }
    let seen = search.documents("steady");
    let id = |document: &String| serde_json::from_str::<Value>(document).expect("JSON")["id"].as_i64().expect("an id");
    let ids: BTreeSet<i64> = seen.values().map(id).collect();
    let last = ids.last().copied().expect("rows have come");
    assert!(ids.len() == seen.len() && ids == (0..=last).collect() && last * PACE > 10_000, "{} of {last}", ids.len());
    serving.stop().well();
}

/// Says what each noise costs, against the mean of the looks before and after it.
fn tell(alone: &[Look], beside: &[(&str, Look)]) {
    for (at, (name, look)) in beside.iter().enumerate() {
        let mean = |of: fn(&Look) -> f64| (of(&alone[at]) + of(&alone[at + 1])) / 2.0;
        let instructions = match (look.instructions, alone[at].instructions) {
            (Some(beside), Some(alone)) => format!("{:.3} of the instructions", beside / alone),
            _ => "instructions are not counted here".to_owned(),
        };
        report(&format!(
            "beside {name}, which takes {:.0} % of a core: {:.0} rows/s, {:.2} of what it is alone; for a row {:.2} of the CPU \
             time, {instructions}; 99 % within {} ms, alone {:.0} ms",
            look.noise * 100.0,
            look.throughput,
            look.throughput / mean(|look| look.throughput),
            look.cost / mean(|look| look.cost),
            look.latency.as_millis(),
            mean(|look| look.latency.as_secs_f64() * 1e3)
        ));
    }
}
