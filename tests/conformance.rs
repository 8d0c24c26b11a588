//! The same three plugins in Rust, JavaScript, Python and C: the same rows give the same bytes, also when the languages take
//! turns in one job.

use crate::harness::job::{Job, guest_counts};
use crate::harness::patience::until;
use crate::harness::program::{output, wasmill};
use crate::harness::{guests, plugins, report, root, skipped};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use wasmill_server::build;

const ROWS: i64 = 10_000;

/// Rows of which each third has no name, some a negative amount, in disorder of up to half a minute.
pub fn input() -> String {
    let mut state = 3u64;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64 % below
    };
    let mut line = |id: i64| {
        let time = 1_356_998_400_000 + id * 500 - random(30_000);
        // Thousandths, of which three tenths of a cent are made: all ways to round, and sums that fall just short of a half.
        // An eighth are so small that some become 13 cents.
        let thousandths = if random(8) == 0 { random(200) } else { random(1_000_000) - 10_000 };
        let amount = thousandths as f64 / 1_000.0;
        // Some names need care in JSON.
        let name = ["a", "ü\"\\", "b/\t", "漢"][random(4) as usize];
        match random(3) {
            0 => json!({"t": time, "id": id, "amount": amount}),
            _ => {
                json!({"t": time, "id": id, "amount": amount, "name": name})
            }
        }
        .to_string()
    };
    (1..=ROWS).map(|id| line(id) + "\n").collect()
}

/// The job of the three plugins, one behind the other.
pub fn job(source: &str, components: &[PathBuf; 3]) -> String {
    let [transform, aggregator, process] = components.each_ref().map(|path| path.display().to_string());
    let sink = |name: &str, input: &str| {
        format!(
            "[sink.{name}]\ninput = \"{input}\"\ntype = \"file\"\npath = \"${{out}}/{name}.jsonl\"\noverwrite = true\n"
        )
    };
    let sinks = [
        ("parsed", "parse"),
        ("nameless", "parse.nameless"),
        ("windows", "count"),
        ("far", "track"),
        ("idle", "track.idle"),
    ];
    let sinks: String = sinks.into_iter().map(|(name, input)| sink(name, input)).collect();
    format!(
        r#"
        [source.rows]
        {source}
        event_time = "/t: time(unix-ms)"
        watermark = {{ disorder = "1m" }}
        [step.parse]
        input = "rows"
        plugin = "{transform}"
        settings = {{ factor = 3 }}
        [step.count]
        input = "parse"
        plugin = "{aggregator}"
        window = {{ sliding = "2m", every = "1m" }}
        [step.track]
        input = "parse"
        plugin = "{process}"
        order = "event-time"
        [dead_letter]
        type = "file"
        path = "${{out}}/dead.jsonl"
        overwrite = true
        {sinks}"#
    )
}

/// The files that the three plugins make of the rows.
pub fn answers(input: &Path, components: &[PathBuf; 3]) -> Vec<(String, Vec<u8>)> {
    let dir = tempfile::tempdir().expect("a folder");
    let text = job("type = \"replay\"\npath = \"${in}\"", components);
    let ledger = Job::new(text).set("in", input.display()).set("out", dir.path().display()).run();
    for step in ["parse", "count", "track"] {
        let guest = guest_counts(&ledger, step);
        assert!(guest.faults.is_empty(), "{step}: {:?}", guest.faults);
        assert!(guest.metrics.contains_key("rows"), "{step}");
    }
    written(dir.path())
}

/// The files that the job has written.
pub fn written(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |name: &str| fs::read(dir.join(format!("{name}.jsonl"))).unwrap_or_default();
    let mut files: Vec<_> =
        ["parsed", "nameless", "windows", "far", "idle"].map(|name| (name.to_owned(), read(name))).into();
    // Letters also say when they were written, and by which component.
    let letters = String::from_utf8(read("dead")).expect("text");
    let mut letters: Vec<String> = letters
        .lines()
        .map(|letter| {
            let mut letter: serde_json::Value = serde_json::from_str(letter).expect("JSON");
            let members = letter.as_object_mut().expect("an object");
            members.remove("at");
            members.remove("plugin");
            letter.to_string()
        })
        .collect();
    letters.sort();
    files.push(("dead".to_owned(), letters.join("\n").into_bytes()));
    files
}

/// The guests in a language; `None` if its tools cannot be had here. Those in C are written to `dir`.
pub fn guests_in(language: &str, dir: &Path) -> Option<[PathBuf; 3]> {
    let kinds = ["transform", "aggregator", "process"];
    if language == "c" {
        let files = kinds.map(|kind| dir.join(kind).with_extension("wasm"));
        guests::of_c("plugins/conformance/c/build.sh", &[dir], &files.each_ref().map(PathBuf::as_path))?;
        return Some(files);
    }
    let dirs = kinds.map(|kind| root().join("plugins/conformance").join(language).join(kind));
    if language == "rust" {
        return Some(dirs.map(|dir| plugins::built(&dir)));
    }
    let components = build::build_all(&dirs, &mut |line| eprintln!("{line}"));
    match components {
        Ok(components) => components.try_into().ok(),
        Err(error) => {
            skipped(&format!("the guests in {language}: {}", error.report()));
            None
        }
    }
}

/// Ten thousand rows through transform, aggregator and process → every output, side output and refusal of each language is
/// that of Rust, byte for byte. Those in Rust a second time, in fresh instances → the same bytes.
#[test]
fn languages_agree() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("in.jsonl");
    fs::write(&path, input()).expect("it can be written");
    let rust = guests_in("rust", dir.path()).expect("Rust is here");
    let expected = answers(&path, &rust);
    for (name, file) in &expected {
        assert!(file.len() > 100, "{name} exercises something: {} bytes", file.len());
    }
    let (_, dead) = expected.last().expect("the dead letters");
    for reason in ["negative amount", "unlucky"] {
        assert!(String::from_utf8_lossy(dead).contains(reason), "somebody refuses a row: {reason}");
    }
    for language in ["rust", "javascript", "python", "c"] {
        let Some(components) = guests_in(language, dir.path()) else { continue };
        for ((name, found), (_, expected)) in answers(&path, &components).iter().zip(&expected) {
            assert_same(&format!("{language}, {name}"), found, expected);
        }
    }
}

/// The same rows through one job of the real program, in which the plugins take turns while windows are open and rows wait:
/// first those in Rust, then `wasmill swap` puts those of another language in each step, and so on → the same bytes.
#[test]
fn languages_take_turns() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("in.jsonl");
    let input = input();
    fs::write(&path, &input).expect("it can be written");
    let rust = guests_in("rust", dir.path()).expect("Rust is here");
    let expected = answers(&path, &rust);
    fs::write(dir.path().join("job.toml"), job("type = \"stdin\"", &rust)).expect("it can be written");
    let mut run = wasmill(dir.path());
    run.args(["run", "job.toml", "--workers", "2", "--set"]).arg(format!("out={}", dir.path().display()));
    let mut host = run.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut rows = host.stdin.take().expect("it is piped");
    let turns: Vec<[PathBuf; 3]> = ["javascript", "rust", "python", "c"]
        .into_iter()
        .filter_map(|language| guests_in(language, dir.path()))
        .collect();
    let lines: Vec<&str> = input.lines().collect();
    let mut parts = lines.chunks(lines.len().div_ceil(turns.len() + 1));
    let mut feed = |part: &[&str]| {
        rows.write_all((part.join("\n") + "\n").as_bytes()).expect("it reads");
        rows.flush().expect("it reads");
    };
    feed(parts.next().unwrap_or_default());
    let mut swaps = 0;
    for components in &turns {
        for (step, component) in ["parse", "count", "track"].into_iter().zip(components) {
            let swap = || output(wasmill(dir.path()).args(["swap", "job.toml", step]).arg(component));
            // It may be the very first thing that the job hears.
            let (code, said, error) = until("the job to listen", || {
                let swapped = swap();
                (!swapped.2.contains("no job of")).then_some(swapped)
            });
            assert_eq!(code, Some(0), "{error}");
            assert!(said.contains(&format!("step {step}: ")) && said.contains(" in place of "), "{said}");
            swaps += 1;
        }
        feed(parts.next().unwrap_or_default());
    }
    drop(rows);
    let ended = host.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    for ((name, found), (_, expected)) in written(dir.path()).iter().zip(&expected) {
        assert_same(name, &sorted(found), &sorted(expected));
    }
    report(&format!("{swaps} swaps between {} sets of plugins", turns.len() + 1));
}

/// A file with its lines in their order as bytes.
pub fn sorted(file: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines.join(&b'\n')
}

/// Tells of two files the first line in which they differ.
pub fn assert_same(title: &str, found: &[u8], expected: &[u8]) {
    let line = |bytes: &[u8], at: usize| {
        String::from_utf8_lossy(bytes.split(|byte| *byte == b'\n').nth(at).unwrap_or_default()).into_owned()
    };
    let lines = found.split(|byte| *byte == b'\n').count();
    let at = (0..lines).find(|&at| line(found, at) != line(expected, at)).unwrap_or(lines);
    assert!(found == expected, "{title}, line {at}: {}, in Rust: {}", line(found, at), line(expected, at));
}
