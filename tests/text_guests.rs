//! Hostile components that no language expresses, from WebAssembly text: what they do happens before any row, or inside the
//! host's own bookkeeping. Each is refused or killed with a reason, and what is beside it works.

use crate::harness::data::json_lines;
use crate::harness::job::Job;
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::{guests, plugins, root};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use wasmill_plugin::{Grants, Host, Limits};
use wasmill_stream::ErrorKind;
use wasmill_stream::plugin::View;
use wasmill_stream::units::Period;

/// Those that do nothing that could be refused: a table that grows later, and what `residue` is about.
const HARMLESS: usize = 3;

/// Those that never get as far as a row, and what is said about them.
const REFUSED: [(&str, &str); 7] = [
    ("start-loop", "`start-up` was stopped after 300ms of CPU time, the limit for this call"),
    ("start-trap", "`start-up` trapped: wasm `unreachable` instruction executed"),
    ("start-memory", "more memory than its limit of 64 MiB"),
    ("start-table", "a table of more than 100000 elements"),
    ("describe-loop", "`describe` was stopped after 300ms of CPU time, the limit for this call"),
    ("describe-text", "`describe` broke the contract: string pointer/length out of bounds of memory"),
    ("realloc-outside", "`configure` broke the contract: realloc return: beyond end of memory"),
];

/// Writes the components of all files in `plugins/hostile/wat` into a folder and gives their names.
fn write_all(dir: &Path) -> Vec<String> {
    let texts = fs::read_dir(root().join("plugins/hostile/wat")).expect("the folder is there");
    let mut names: Vec<String> = texts
        .map(|text| {
            let text: PathBuf = text.expect("it can be read").path();
            let name = text.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
            fs::write(dir.join(&name).with_extension("wasm"), guests::of_text(&text)).expect("it can be written");
            name
        })
        .collect();
    names.sort();
    names
}

/// A job that names all of them beside an honest plugin → `wasmill check` says of each what it did, and has no other problem.
#[test]
fn the_program_refuses_each() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut job =
        "[source.in]\ntype = \"replay\"\ngenerate = \"taxi\"\ntrips = 10\nevent_time = \"arrival\"\n".to_owned();
    let honest = plugins::component("identity").display().to_string();
    let hostile = write_all(dir.path());
    for (name, plugin) in hostile.iter().map(|name| (name.as_str(), format!("{name}.wasm"))).chain([("honest", honest)])
    {
        job.push_str(&format!(
            "[step.{name}]\ninput = \"in\"\nplugin = \"{plugin}\"\nlimits = {{ init = \"300ms\" }}\n\
             [sink.{name}-out]\ninput = \"{name}\"\ntype = \"stdout\"\n"
        ));
    }
    fs::write(dir.path().join("job.toml"), job).expect("it can be written");
    let (code, stdout, stderr) = output(wasmill(dir.path()).args(["check", "job.toml"]));
    assert_eq!(code, Some(2), "{stdout}{stderr}");
    let text = unwrapped(&stderr);
    for (name, reason) in REFUSED {
        assert!(
            text.contains(reason) && text.contains(&format!("{name}.wasm")),
            "{name}: {reason} is not in:\n{stderr}"
        );
    }
    assert!(
        text.contains(&format!("{} problems", REFUSED.len())) && hostile.len() == REFUSED.len() + HARMLESS,
        "{stderr}"
    );
}

/// One host that is given all of them, one after the other → each fails as the guest's own fault and in its words, and the
/// next honest plugin works in the same host.
#[test]
fn the_host_survives_each() {
    let dir = tempfile::tempdir().expect("a folder");
    write_all(dir.path());
    let host = Host::new().expect("the engine starts");
    let limits = Limits { init: Period::from_millis(300), ..Limits::default() };
    let honest = fs::read(plugins::component("identity")).expect("it was built");
    let try_out = |name: &str, bytes: &[u8]| {
        let component = host.load_with(name, bytes, Grants::default(), &limits)?;
        let plugin = host.transform(&component, "step", "{}", limits)?;
        let values = ["a row"].into_iter().collect();
        let view = View { times: &[1], keys: None, values: Some(&values), fields: Vec::new() };
        plugin.instantiate()?.transform(&view)
    };
    for (name, reason) in REFUSED.into_iter().chain([("table-bomb", "a table of more than 100000 elements")]) {
        let bytes = fs::read(dir.path().join(name).with_extension("wasm")).expect("it was written");
        let error = try_out(name, &bytes).err().unwrap_or_else(|| panic!("{name} must fail"));
        assert!(matches!(error.kind(), ErrorKind::Guest(_)), "{name}: {error}");
        assert!(error.report().contains(reason), "{name}: {}", error.report());
        let rows = try_out("honest", &honest).unwrap_or_else(|error| panic!("beside {name}: {}", error.report()));
        assert_eq!(rows.main.values, Some(["a row"].into_iter().collect()), "beside {name}");
    }
}

/// A table that grows without end in every call → a letter for each row with that reason; the step beside it has all rows.
#[test]
fn a_table_bomb_beside_an_honest_step() {
    let dir = tempfile::tempdir().expect("a folder");
    write_all(dir.path());
    let lines: String = (1..=50).map(|id| json!({"t": id * 1_000, "id": id}).to_string() + "\n").collect();
    fs::write(dir.path().join("in.jsonl"), &lines).expect("it can be written");
    let sink = |name: &str, input: &str| {
        format!("[{name}]\n{input}\ntype = \"file\"\npath = \"${{dir}}/{name}.jsonl\"\noverwrite = true\n")
    };
    let job = format!(
        "[source.rows]\ntype = \"replay\"\npath = \"${{dir}}/in.jsonl\"\nevent_time = \"/t: time(unix-ms)\"\n\
         [step.bomb]\ninput = \"rows\"\nplugin = \"{}/table-bomb.wasm\"\nfailures = {{ share = 1.0 }}\n\
         [step.honest]\ninput = \"rows\"\nplugin = \"plugins/identity\"\n{}{}{}",
        dir.path().display(),
        sink("sink.bombed", "input = \"bomb\""),
        sink("sink.all", "input = \"honest\""),
        sink("dead_letter", "")
    );
    Job::new(job).set("dir", dir.path().display()).workers(2).run();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("the sink wrote it");
    assert_eq!(read("sink.all.jsonl"), lines);
    assert_eq!(read("sink.bombed.jsonl"), "");
    let letters = json_lines(&read("dead_letter.jsonl"));
    assert_eq!(letters.len(), 50);
    for letter in letters {
        let reason = letter["reason"].as_str().expect("a reason");
        assert_eq!((&letter["cause"], &letter["step"]), (&json!("memory"), &json!("bomb")), "{letter}");
        assert!(reason.contains("a table of more than 100000 elements"), "{reason}");
    }
}
