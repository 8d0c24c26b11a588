//! Components that nobody wrote: real ones with bytes changed, left out or put in, and random code behind the right exports.
//! Each is loaded, configured and called. Whatever comes of it, the host does not panic, does not hang and keeps its memory.
//! `WASMILL_MUTANTS` says how many (500 unless set), `WASMILL_MUTANTS_SEED` which.

#[path = "host/guest.rs"]
#[allow(dead_code)]
mod guest;

use guest::{ANSWER, Guest, SILENT, UNCHANGED, try_wrap};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use wasm_smith::{Config, Module};
use wasmill_plugin::{Component, Grants, Host, Kind, Limits};
use wasmill_stream::plugin::{Fired, Timers, Turn, View};
use wasmill_stream::units::{ByteCount, Period};
use wasmill_stream::{Binary, Error, ErrorKind, Firing, Pane};

/// What one mutant may take by the clock on the wall, of which a busy machine may leave it little.
const PATIENCE: Duration = Duration::from_secs(300);
/// What the process may grow by, all in all: the limits of one guest, and what compilers and allocators keep.
const MAX_GROWTH: u64 = 256 << 20;

fn limits() -> Limits {
    Limits {
        memory: Some(ByteCount::new(16 << 20)),
        call: Period::from_millis(50),
        init: Period::from_millis(50),
        ..Limits::default()
    }
}

/// SplitMix64: the same mutants for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// A component with some bytes changed, its end cut off, a part left out, or a part of itself put in.
fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut mutant = bytes.to_vec();
    // Behind the header, which has a check of its own.
    let at = 8 + random.below(mutant.len() - 8);
    match random.below(8) {
        0 => mutant.truncate(at),
        1 => drop(mutant.drain(at..(at + 1 + random.below(32)).min(bytes.len()))),
        2 => {
            let from = random.below(bytes.len());
            let part = &bytes[from..(from + 1 + random.below(64)).min(bytes.len())];
            mutant.splice(at..at, part.iter().copied());
        }
        others => {
            // Mostly one byte: of those that many change, all but few are refused before they run.
            for _ in 0..if others < 6 { 1 } else { 8 } {
                let at = 8 + random.below(mutant.len() - 8);
                mutant[at] = random.next() as u8;
            }
        }
    }
    mutant
}

/// Random functions with the imports and exports of a guest, as a component of its world.
fn generate(example: &Guest, random: &mut Random) -> Option<Vec<u8>> {
    let core = example.core();
    let noise: Vec<u8> = (0..512).flat_map(|_| random.next().to_le_bytes()).collect();
    let config = Config {
        exports: Some(core.clone()),
        available_imports: Some(core),
        gc_enabled: false,
        reference_types_enabled: false,
        threads_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        exceptions_enabled: false,
        wide_arithmetic_enabled: false,
        max_memories: 1,
        ..Config::default()
    };
    let module = Module::new(config, &mut arbitrary::Unstructured::new(&noise)).ok()?;
    try_wrap(&module.to_bytes(), &example.wit())
}

/// Loads, configures and calls; the error says how far it came.
fn exercise(host: &Host, bytes: &[u8]) -> Result<(), (&'static str, Error)> {
    let at = |stage| move |error| (stage, error);
    let component = host.load_with("mutant.wasm", bytes, Grants::default(), &limits()).map_err(at("load"))?;
    match component.kind() {
        Kind::Transform => transform(host, &component),
        Kind::Aggregator => aggregate(host, &component),
        Kind::Process => process(host, &component),
    }
}

fn view<'a>(keys: Option<&'a Binary>, values: &'a Binary) -> View<'a> {
    View { times: &[1, 2, 3], keys, values: Some(values), fields: Vec::new() }
}

fn words() -> Binary {
    ["a", "", "long enough for a loop"].into_iter().collect()
}

fn transform(host: &Host, component: &Component) -> Result<(), (&'static str, Error)> {
    let at = |stage| move |error| (stage, error);
    let plugin = host.transform(component, "step", "{}", limits()).map_err(at("configure"))?;
    let mut instance = plugin.instantiate().map_err(at("configure"))?;
    let words = words();
    instance.transform(&view(Some(&words), &words)).map_err(at("call")).map(drop)
}

fn aggregate(host: &Host, component: &Component) -> Result<(), (&'static str, Error)> {
    let at = |stage| move |error| (stage, error);
    let plugin = host.aggregate(component, "step", "{}", limits()).map_err(at("configure"))?;
    let mut instance = plugin.instantiate().map_err(at("configure"))?;
    let words = words();
    let windows = [Firing { start: 0, end: 10, pane: Pane::OnTime }; 3];
    let accumulated = instance.accumulate(&words, &[0, 1, 2], &view(None, &words)).map(drop);
    let merged = instance.merge(&words, &[0, 1, 2], 3).map(drop);
    let migrated = instance.migrate(1, &words).map(drop);
    let fired = Fired { windows: &windows, keys: &words, accumulators: &words };
    accumulated.and(merged).and(migrated).and(instance.finish(&fired).map(drop)).map_err(at("call"))
}

fn process(host: &Host, component: &Component) -> Result<(), (&'static str, Error)> {
    let at = |stage| move |error| (stage, error);
    let plugin = host.process(component, "step", "{}", limits()).map_err(at("configure"))?;
    let mut instance = plugin.instantiate().map_err(at("configure"))?;
    let words = words();
    let timers = Timers { groups: vec![0, 2], times: vec![5, 6] };
    let turn = Turn {
        keys: &words,
        states: &words,
        groups: &[0, 1, 2],
        batch: view(None, &words),
        timers: &timers,
        watermark: 5,
        ordered: true,
    };
    instance.process(&turn).map_err(at("call")).map(drop)
}

/// What an error says about the mutant; every other error is one of the host.
fn class(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Invalid => "refused",
        ErrorKind::Guest(fault) => fault.name(),
        _ => "unexpected",
    }
}

/// The memory of this process that is not on disk, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this system tells");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") * 1_024
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A transform that returns the values it was given.
fn copying() -> Guest {
    // Locals 7 to 11 are the values, whose place in the answer is behind origins, times and keys.
    let store = |word: u32| format!("(i32.store (i32.const {}) (local.get {}))", ANSWER + 48 + word * 4, 7 + word);
    let body: String = (0..5).map(store).collect();
    Guest::transform(&format!("{body} (i32.const {ANSWER})")).with_values()
}

/// Mutated and generated components are refused, fail or run; the host outlives all of them within its time and memory.
#[test]
fn mutants() {
    let (count, seed) = (number("WASMILL_MUTANTS", 500), number("WASMILL_MUTANTS_SEED", 1));
    let examples = [
        Guest::answering(UNCHANGED),
        copying(),
        Guest::keeping_accumulators(),
        Guest::keeping_states(SILENT).with_sides(&[64, 4, 0]),
    ];
    let components: Vec<_> = examples.iter().map(Guest::component).collect();
    let host = Host::new().expect("the engine starts");
    for component in &components {
        exercise(&host, component).expect("as they are, they work");
    }
    let start = resident();
    let mut random = Random(seed);
    let mut outcomes: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let (mut slowest, mut unfit) = (Duration::ZERO, 0);
    for number in 0..count {
        let which = random.below(examples.len());
        let (family, bytes) = match number % 2 {
            0 => ("mutated", Some(mutate(&components[which], &mut random))),
            _ => ("generated", generate(&examples[which], &mut random)),
        };
        let Some(bytes) = bytes else {
            unfit += 1;
            continue;
        };
        let begin = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| exercise(&host, &bytes)));
        let ended = ended.unwrap_or_else(|_| panic!("mutant {number} of seed {seed} made the host panic"));
        slowest = slowest.max(begin.elapsed());
        assert!(begin.elapsed() < PATIENCE, "mutant {number} of seed {seed} took {:?}", begin.elapsed());
        let (outcome, words) = match ended {
            Ok(()) => ("ran".to_owned(), String::new()),
            Err((stage, error)) => (format!("{stage}: {}", class(&error)), error.report()),
        };
        assert!(!outcome.ends_with("unexpected"), "mutant {number} of seed {seed}: {words}");
        outcomes.entry(format!("{family}, {outcome}")).or_insert((0, words)).0 += 1;
    }
    let grown = resident().saturating_sub(start);
    println!("{count} mutants of seed {seed}, {unfit} of them not even components:");
    for (outcome, (count, words)) in &outcomes {
        println!("{count:>6}  {outcome}  {words:.150}");
    }
    println!("slowest {slowest:?}, memory grew by {} MiB", grown >> 20);
    assert!(grown < MAX_GROWTH, "the host grew by {} MiB", grown >> 20);
    // The harness must have reached every depth: else it tests only that garbage is refused.
    let reached = |end: &str| outcomes.keys().any(|outcome| outcome.ends_with(end) || outcome.contains(end));
    assert!(reached("load: refused") && reached("ran") && reached(": trap"), "{outcomes:?}");
    assert!(unfit * 4 < count, "too many of the generated modules were no components");
}
