//! What one tenant does to the jobs of others on the same host: it takes its share, and is heard of, and that is all.

use crate::harness::chance::count;
use crate::harness::fleet::{Fleet, Serving};
use crate::harness::latency::{Arrivals, percentile};
use crate::harness::metrics::Metrics;
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::report;
use crate::harness::search::Search;
use crate::harness::strangers::{HOSTILE, IDENTITY, copy, settle};
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
/// What the noisy tenant may have: a fifth of a core.
const SHARE: &str = "[quota]\ncpu = 0.2\nmemory = \"64 MiB\"\nlog = \"16 KiB\"";

/// What one look has found of the quiet jobs.
struct Look {
    /// Rows a second of the job that is as fast as it can be.
    throughput: f64,
    /// CPU time that its plugin and its steps take for a row, nanoseconds. It does not depend on who else has a turn.
    cost: f64,
    /// How late the slowest of a hundred rows of the other one is.
    latency: Duration,
}

/// The quiet jobs, and who looks at them.
struct Quiet<'a> {
    serving: &'a Serving,
    arrivals: Arrivals,
    span: Duration,
    /// When the first row of the steady one came.
    begun: Instant,
}

impl Quiet<'_> {
    fn look(&self) -> Look {
        let now = || {
            let metrics = Metrics::of(self.serving);
            let of = |metric: &str, more: &[&str]| {
                metrics.get(metric, &[&["job=\"fast\"", "step=\"cells\""], more].concat())
            };
            let busy = of("wasmill_step_time_seconds_total", &["activity=\"busy\""]);
            (Instant::now(), of("wasmill_records_in_total", &[]), busy)
        };
        let due = |at: Instant| (at - self.begun).as_millis() as i64;
        let (begun, before, busy) = now();
        sleep(self.span);
        let (ended, after, busier) = now();
        // Those that were due at the end have come.
        sleep(Duration::from_millis(500));
        let delays = self.arrivals.delays(due(begun), due(ended));
        Look {
            throughput: (after - before) / (ended - begun).as_secs_f64(),
            cost: (busier - busy) * 1e9 / (after - before),
            latency: percentile(&delays, 99),
        }
    }
}

/// The jobs of the noisy tenant: what each is called, and its file.
fn noise(fleet: &Fleet, deaf: &Search) -> Vec<(&'static str, String)> {
    let folder = fleet.tenant("noisy");
    let hostile = |what: &str| copy("out.jsonl", HOSTILE, what);
    let endless = |text: String| {
        text.replace(
            "path = \"in.jsonl\"\nevent_time = \"/t: time(unix-ms)\"",
            "generate = \"taxi\"\nevent_time = \"arrival\"",
        )
    };
    let row = Input::new(2).text().lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).expect("a row");
    let rows = (0..400_000).map(|at| {
        let mut row = row.clone();
        row["t"] = json!(START + at);
        row.to_string() + "\n"
    });
    fs::write(folder.join("hot.jsonl"), rows.collect::<String>()).expect("it can be written");
    for plugin in ["cell-key", "cell-average"] {
        fs::copy(component(plugin), folder.join(format!("{plugin}.wasm"))).expect("it was built");
    }
    let hot_key = "[source.rows]\ntype = \"replay\"\npath = \"hot.jsonl\"\nevent_time = \"/t: time(unix-ms)\"\n\
                   [step.cells]\ninput = \"rows\"\nplugin = \"../cell-key.wasm\"\n\
                   [step.averages]\ninput = \"cells\"\nplugin = \"../cell-average.wasm\"\nwindow = { tumbling = \"1m\" }\n\
                   [sink.out]\ninput = \"averages\"\ntype = \"file\"\npath = \"hot.out\"\noverwrite = true\n";
    let slow_sink = copy("out.jsonl", IDENTITY, "").replace(
        "type = \"file\"\npath = \"out.jsonl\"\noverwrite = true",
        &format!("type = \"opensearch\"\nendpoint = \"{}\"\nindex = \"deaf\"", deaf.url),
    );
    vec![
        ("loop", hostile("settings = { do = \"loop\", every = 1 }\nfailures = { share = 1.0 }")),
        ("slow", hostile("settings = { do = \"slow\", every = 1, amount = 500000 }")),
        ("memory-bomb", hostile("settings = { do = \"memory\", every = 1 }\nfailures = { share = 1.0 }")),
        ("log-flood", hostile("settings = { do = \"log-flood\", every = 1, amount = 1000 }")),
        ("slow-sink", slow_sink),
        ("hot-key", hot_key.to_owned()),
    ]
}

/// Two jobs, one as fast as it can be and one with 200 rows a second, beside a tenant with a fifth of a core that does one thing
/// after the other: loops without end, slow code, a memory bomb, a log flood, a sink that does not answer, a hot key → no row of the two is
/// lost, and what each thing costs them is printed beside what they do alone before and after it.
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
    settle(&fleet, "noisy", SHARE, 20_000);
    let kinds = "sources = [\"replay\"]\nsinks = [\"file\", \"opensearch\"]";
    fleet.allow("noisy", &format!("{SHARE}\n[allow]\n{kinds}\nservers = [\"{}\"]\n", deaf.url));
    fs::copy(component("identity"), fleet.path().join("identity.wasm")).expect("it was built");
    let noise = noise(&fleet, &deaf);
    deaf.set_deaf(true);
    // Longer than all looks together.
    let rows = (span.as_millis() as i64 * 14 + 120_000) / PACE;
    let lines = (0..rows).map(|row| json!({"t": START + row * PACE, "id": row}).to_string() + "\n");
    fs::write(fleet.path().join("steady.jsonl"), lines.collect::<String>()).expect("it can be written");
    let step = format!("[step.same]\ninput = \"rows\"\nplugin = \"{IDENTITY}\"\n[sink.out]\ninput = \"same\"\n");
    let steady = format!(
        "[source.rows]\ntype = \"replay\"\npath = \"steady.jsonl\"\ntime = \"/t: time(unix-ms)\"\nspeedup = 1\n\
         event_time = \"/t: time(unix-ms)\"\n[engine]\nepoch = \"20ms\"\n{step}type = \"opensearch\"\nendpoint = \"{}\"\n\
         index = \"steady\"\nflush_interval = \"20ms\"\n",
        search.url
    );
    for plugin in ["pickup-cell", "pickup-count"] {
        fs::copy(component(plugin), fleet.path().join(format!("{plugin}.wasm"))).expect("it was built");
    }
    let fast = "[source.trips]\ntype = \"replay\"\ngenerate = \"taxi\"\nevent_time = \"/dropoff_datetime: time\"\n\
                [step.cells]\ninput = \"trips\"\nplugin = \"../pickup-cell.wasm\"\n\
                [step.counts]\ninput = \"cells\"\nplugin = \"../pickup-count.wasm\"\nwindow = { tumbling = \"10m\" }\n\
                [sink.out]\ninput = \"counts\"\ntype = \"file\"\npath = \"fast.jsonl\"\noverwrite = true\n";
    fleet.write("steady", &steady);
    fleet.write("fast", fast);
    let serving = fleet.start();
    until("the first rows", || (arrivals.count() > 0).then_some(()));
    let known = serving.get("/api/v1/jobs/fast");
    assert_eq!(known["state"], "running", "{known}");
    let begun = Instant::now();
    sleep(Duration::from_secs(1));
    let mut looks = Vec::new();
    let look = |serving: &Serving| Quiet { serving, arrivals: arrivals.clone(), span, begun }.look();
    let mut alone = vec![look(&serving)];
    for (name, text) in &noise {
        fleet.write_for("noisy", name, text);
        let job = format!("/api/v1/jobs/noisy:{name}");
        until("noise", || {
            let (status, text) = serving.ask("GET", &job, "");
            (status == 200 && !text.contains("\"starting\"")).then_some(())
        });
        looks.push((*name, look(&serving)));
        // What waits for an answer cannot end.
        deaf.set_deaf(*name != "slow-sink");
        fs::remove_file(fleet.tenant("noisy").join(format!("jobs/{name}.toml"))).expect("it is there");
        until("silence", || (serving.ask("GET", &job, "").0 == 404).then_some(()));
        alone.push(look(&serving));
    }
    let mean = |of: fn(&Look) -> f64, at: usize| (of(&alone[at]) + of(&alone[at + 1])) / 2.0;
    for (at, (name, look)) in looks.iter().enumerate() {
        report(&format!(
            "beside {name}: {:.0} rows/s, {:.2} of what it is alone; {:.2} of the time for a row; 99 % within {} ms, alone {:.0} ms",
            look.throughput,
            look.throughput / mean(|look| look.throughput, at),
            look.cost / mean(|look| look.cost, at),
            look.latency.as_millis(),
            mean(|look| look.latency.as_secs_f64() * 1e3, at)
        ));
    }
    let tenant = serving.get("/api/v1/tenants/noisy");
    assert!(tenant["rates"]["cpu"]["waited"].as_f64().is_some_and(|waited| waited > 0.0), "it has waited: {tenant}");
    deaf.set_deaf(false);
    assert_eq!(serving.ask("DELETE", "/api/v1/jobs/fast", "").0, 202);
    let metrics = Metrics::of(&serving);
    for metric in ["late", "rejected", "filtered"] {
        assert_eq!(
            metrics.find(&format!("wasmill_records_{metric}_total"), &["job=\"steady\"", "step=\"same\""]),
            Some(0.0)
        );
    }
    let seen = search.documents("steady");
    let id = |document: &String| serde_json::from_str::<Value>(document).expect("JSON")["id"].as_i64().expect("an id");
    let ids: BTreeSet<i64> = seen.values().map(id).collect();
    let last = ids.last().copied().expect("rows have come");
    assert!(ids.len() == seen.len() && ids == (0..=last).collect() && last * PACE > 10_000, "{} of {last}", ids.len());
    serving.stop().well();
}
