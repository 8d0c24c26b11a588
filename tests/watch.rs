//! `wasmill run --watch` with the real program: what changes on disk takes over once it is whole, what is broken is refused
//! once, and rows go on meanwhile.

use crate::harness::chance::{Chance, count};
use crate::harness::plugins::built;
use crate::harness::program::{output, wasmill};
use crate::harness::stream::{Stream, answer, job, replace, row, version};
use crate::harness::{report, root, skipped};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use wasmparser::Validator;

/// A folder with a job of one step and its component, which is followed and has run a row.
fn running(dir: &Path) -> Stream {
    fs::write(dir.join("p.wasm"), version("v0001")).expect("it can be written");
    started(dir, &[("cents", "p.wasm")])
}

fn started(dir: &Path, steps: &[(&str, &str)]) -> Stream {
    fs::write(dir.join("job.toml"), job(steps)).expect("it can be written");
    let mut stream = Stream::run(dir, &["--watch"]);
    stream.assert_runs("v0001", steps.len());
    stream
}

/// A component is replaced at one stroke, and written in place → each takes over, and is said in one line. The same bytes
/// once more → nothing.
#[test]
fn components_are_replaced() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("p.wasm");
    let mut stream = running(dir.path());
    replace(&path, &version("v0002"));
    stream.says("watch: step cents: ");
    stream.says("stood still for");
    stream.assert_runs("v0002", 1);
    replace(&path, &version("v0002"));
    fs::write(&path, version("v0003")).expect("it can be written");
    stream.says("stood still for");
    stream.assert_runs("v0003", 1);
    let said = stream.end(&["cents"]);
    assert_eq!(said.matches("watch: ").count(), 2, "{said}");
}

/// A component is written in two halves, with the first one there for longer than a moment → it takes over when it is whole;
/// the half is refused as cut off, if at all.
#[test]
fn halves_are_waited_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("p.wasm");
    let mut stream = running(dir.path());
    let new = version("v0002");
    fs::write(&path, &new[..new.len() / 2]).expect("it can be written");
    // Whoever copies over a network may pause: here for so long that even half a file is judged.
    let refusal = stream.says("build or copy it again");
    assert!(refusal.contains("cut off after"), "{refusal}");
    stream.assert_runs("v0001", 1);
    fs::write(&path, &new).expect("it can be written");
    stream.says("stood still for");
    stream.assert_runs("v0002", 1);
    stream.end(&["cents"]);
}

/// A component is deleted and written again, then its whole folder → what ran goes on, and each new one takes over.
#[test]
fn deleted_and_written_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("plugins/cents");
    fs::create_dir_all(&folder).expect("created");
    let path = folder.join("p.wasm");
    fs::write(&path, version("v0001")).expect("it can be written");
    let mut stream = started(dir.path(), &[("cents", "plugins/cents/p.wasm")]);
    fs::remove_file(&path).expect("removed");
    stream.says("p.wasm is gone; cents goes on with the plugin that it runs");
    stream.assert_runs("v0001", 1);
    fs::write(&path, version("v0002")).expect("it can be written");
    stream.says("stood still for");
    stream.assert_runs("v0002", 1);
    fs::remove_dir_all(dir.path().join("plugins")).expect("removed");
    stream.says("p.wasm is gone");
    fs::create_dir_all(&folder).expect("created");
    fs::write(&path, version("v0003")).expect("it can be written");
    stream.says("stood still for");
    stream.assert_runs("v0003", 1);
    stream.end(&["cents"]);
}

/// A component behind two links, of which the first is switched over as in a mounted config map → the new one takes over.
#[test]
fn links_are_switched() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["v0001", "v0002"] {
        fs::create_dir(dir.path().join(name)).expect("created");
        fs::write(dir.path().join(name).join("p.wasm"), version(name)).expect("it can be written");
    }
    symlink("v0001", dir.path().join("..data")).expect("a link");
    symlink("..data/p.wasm", dir.path().join("p.wasm")).expect("a link");
    let mut stream = started(dir.path(), &[("cents", "p.wasm")]);
    symlink("v0002", dir.path().join("..data_tmp")).expect("a link");
    fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).expect("renamed");
    stream.says("stood still for");
    stream.assert_runs("v0002", 1);
    stream.end(&["cents"]);
}

/// One component of two steps changes → it takes over in both. A comment in the job file changes → nothing else happens.
#[test]
fn all_steps_of_a_component() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("p.wasm");
    fs::write(&path, version("v0001")).expect("it can be written");
    let mut stream = started(dir.path(), &[("one", "p.wasm"), ("two", "p.wasm")]);
    replace(&path, &version("v0002"));
    stream.says("watch: step one: ");
    stream.says("watch: step two: ");
    stream.says("stood still for");
    stream.assert_runs("v0002", 2);
    let text = fs::read_to_string(dir.path().join("job.toml")).expect("it is there");
    replace(&dir.path().join("job.toml"), (text + "# more\n").as_bytes());
    stream.says("watch: nothing has changed in the job file");
    stream.assert_runs("v0002", 2);
    stream.end(&["one", "two"]);
}

/// Something that is no plugin of the step, touched later, and put in place once more after another one → its reason is said
/// once each time it is new; what ran goes on, and the next good one takes over.
#[test]
fn refusals_are_said_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("p.wasm");
    let mut stream = running(dir.path());
    replace(&path, b"<html>404</html>");
    stream.says("this is not WebAssembly");
    stream.assert_runs("v0001", 1);
    // Of the same bytes, nothing is to be said again.
    replace(&path, b"<html>404</html>");
    let aggregator = built(&root().join("plugins/conformance/rust/aggregator"));
    replace(&path, &fs::read(aggregator).expect("it was built"));
    let between = stream.says("there is no `window`");
    assert!(!between.contains("WebAssembly:"), "{between}");
    replace(&path, b"<html>404</html>");
    stream.says("this is not WebAssembly");
    replace(&path, &version("v0002"));
    stream.says("stood still for");
    stream.assert_runs("v0002", 1);
    stream.end(&["cents"]);
}

/// The sources of a plugin are edited: first into something that does not build, then into something that does, while editors
/// and builds leave files beside them → the compiler's words once, then the new version.
#[test]
fn sources_are_built_again() {
    let dir = tempfile::tempdir().expect("a folder");
    for language in ["rust", "javascript"] {
        let (code, stdout, stderr) =
            output(wasmill(dir.path()).args(["new", language, "--lang", language, "--kind", "transform"]));
        assert_eq!(code, Some(0), "{stdout}{stderr}");
        let (code, stdout, stderr) = output(wasmill(dir.path()).args(["build", language]));
        if language != "rust" && stderr.contains("install") && code != Some(0) {
            skipped(&format!("{language}: {stderr}"));
            continue;
        }
        assert_eq!(code, Some(0), "{stdout}{stderr}");
        edit(&dir.path().join(language), language);
    }
}

fn edit(folder: &Path, language: &str) {
    let dir = folder.parent().expect("it is in a folder");
    let file = folder.join(if language == "rust" { "src/lib.rs" } else { "plugin.js" });
    let source = fs::read_to_string(&file).expect("it is there");
    let sink = "[sink.out]\ninput = \"edited\"\ntype = \"stdout\"\n";
    let step = format!("[step.edited]\ninput = \"rows\"\nplugin = \"{language}\"\n{sink}");
    let job = format!("[source.rows]\ntype = \"stdin\"\nevent_time = \"/t: time(unix-ms)\"\n{step}");
    fs::write(dir.join("job.toml"), job).expect("it can be written");
    let mut stream = Stream::run(dir, &["--watch"]);
    stream.feed(0);
    replace(&file, format!("{source}\n}}}} no {language}").as_bytes());
    let refusal = stream.says(if language == "rust" { "unexpected closing delimiter" } else { "plugin.js" });
    assert!(refusal.contains("watch: plugin "), "{refusal}");
    fs::write(folder.join(".plugin.swp"), "swap").expect("it can be written");
    fs::create_dir_all(folder.join("target/other")).expect("created");
    fs::write(folder.join("target/other/x"), "built").expect("it can be written");
    // Another version: its name goes into the component.
    let manifest = folder.join(if language == "rust" { "Cargo.toml" } else { "package.json" });
    let about = fs::read_to_string(&manifest).expect("it is there");
    assert!(about.contains("0.1.0"), "{about}");
    replace(&file, source.as_bytes());
    replace(&manifest, about.replacen("0.1.0", "0.1.7", 1).as_bytes());
    stream.says(&format!("watch: step edited: {language} 0.1.7 ("));
    stream.says("stood still for");
    stream.feed(0);
    let said = stream.end(&["edited"]);
    assert_eq!(said.matches("watch: ").count(), 2, "one refusal, one new version: {said}");
}

/// Damaged components, by chance: cut off, with bytes changed, or of something else. Each is refused by a validator that is
/// not ours to judge with.
fn damaged(good: &[u8], chance: &mut Chance) -> Vec<u8> {
    loop {
        let mut bytes = good.to_vec();
        match chance.below(8) {
            0 => bytes.truncate(chance.below(bytes.len())),
            1 => bytes = (0..chance.below(4_096)).map(|_| chance.below(256) as u8).collect(),
            _ => {
                for _ in 0..=chance.below(64) {
                    let at = chance.below(bytes.len());
                    bytes[at] = chance.below(256) as u8;
                }
            }
        }
        let is_component = bytes.starts_with(b"\0asm\x0d\0\x01\0");
        let is_valid = Validator::new().validate_all(&bytes).is_ok();
        if !(is_component && is_valid) {
            return bytes;
        }
    }
}

/// Hundreds of damaged components in the files of four steps, and by hand over the socket, while rows flow → none is taken,
/// every row is worked on once by the version that ran before, and each refusal has its reason.
#[test]
fn damaged_components_disturb_nothing() {
    const STEPS: [&str; 4] = ["a", "b", "c", "d"];
    let rounds = count("WASMILL_CORRUPT", 200).div_ceil(STEPS.len() + 1);
    let dir = tempfile::tempdir().expect("a folder");
    let good = version("v0001");
    let files = STEPS.map(|step| format!("{step}.wasm"));
    let paths = files.each_ref().map(|file| dir.path().join(file));
    paths.iter().for_each(|path| fs::write(path, &good).expect("it can be written"));
    let steps: Vec<_> = STEPS.into_iter().zip(files.iter().map(String::as_str)).collect();
    let mut stream = started(dir.path(), &steps);
    let mut chance = Chance::announced();
    let mut refused = 0;
    for round in 1..=rounds {
        paths.iter().for_each(|path| replace(path, &damaged(&good, &mut chance)));
        fs::write(dir.path().join("by-hand.wasm"), damaged(&good, &mut chance)).expect("it can be written");
        let (code, said, stderr) = output(wasmill(dir.path()).args(["swap", "job.toml", "a", "by-hand.wasm"]));
        assert_eq!(code, Some(2), "{said}{stderr}");
        // Rows flow while they are judged.
        while stream.said().matches(".wasm does not fit:").count() < round * (STEPS.len() + 1) {
            stream.assert_runs("v0001", STEPS.len());
        }
        refused = stream.said().matches(".wasm does not fit:").count();
    }
    replace(&paths[0], &version("v0002"));
    stream.says("watch: step a: ");
    stream.says("stood still for");
    let fed = stream.fed();
    let said = stream.end(&STEPS);
    assert_eq!(said.matches(" in place of ").count(), 1, "only the last one, which is good: {said}");
    report(&format!("{refused} damaged components refused, {fed} rows through each of {} steps", STEPS.len()));
}

/// What the tests take for the answer is what the rows say → the oracle does not agree with everything.
#[test]
fn the_answer_follows_from_the_row() {
    let (first, second): (Value, Value) = (row(1), answer(1, "cents"));
    assert_eq!((&first["id"], &first["amount"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(second["cents"], Value::from(200));
    let ids: Vec<i64> = (1..=26).filter_map(|n| row(n)["id"].as_i64()).collect();
    assert_eq!((&ids[..5], ids[23], ids[24]), (&[1, 2, 3, 4, 6][..], 34, 36));
}
