//! The way of someone who writes a plugin: a new project, its cases, a mistake, and dead letters that are sent again once the
//! plugin is repaired.

use crate::harness::program::{output, wasmill};
use crate::harness::{data, root, skipped};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Makes a project and tests it. `None`: the tools of its language cannot be had here.
fn created(dir: &Path, name: &str, language: &str, kind: &str) -> Option<()> {
    let (code, stdout, stderr) = output(wasmill(dir).args(["new", name, "--lang", language, "--kind", kind]));
    assert_eq!(code, Some(0), "{language} {kind}: {stdout}{stderr}");
    let (code, stdout, stderr) = output(wasmill(dir).args(["test", name]));
    if language != "rust" && stderr.contains("install") && code != Some(0) {
        skipped(&format!("{language}: {stderr}"));
        return None;
    }
    assert_eq!(code, Some(0), "{language} {kind}: {stdout}{stderr}");
    Some(())
}

/// A new project in each language, of each kind once → its cases pass as they are. A case that expects something else → the
/// difference, and exit code 1; with --update it is put right.
#[test]
fn from_new_to_test() {
    for (language, kind) in [("rust", "transform"), ("javascript", "process"), ("python", "aggregator")] {
        let dir = tempfile::tempdir().expect("a folder");
        if created(dir.path(), "mine", language, kind).is_none() {
            continue;
        }
        let cases = dir.path().join("mine/cases");
        let case =
            fs::read_dir(&cases).expect("it has cases").next().expect("one at least").expect("it can be read").path();
        let text = fs::read_to_string(&case).expect("text");
        let last = text.trim_end().rfind('\n').expect("several lines");
        // Without its last line, a case expects less than comes out.
        fs::write(&case, &text[..=last]).expect("it can be written");
        let (code, stdout, stderr) = output(wasmill(dir.path()).args(["test", "mine"]));
        assert_eq!(code, Some(1), "{language}: {stdout}{stderr}");
        let (code, stdout, stderr) = output(wasmill(dir.path()).args(["test", "mine", "--update"]));
        assert_eq!(code, Some(0), "{language}: {stdout}{stderr}");
        let (code, stdout, stderr) = output(wasmill(dir.path()).args(["test", "mine"]));
        assert_eq!(code, Some(0), "{language}: {stdout}{stderr}");
        let (code, stdout, stderr) = output(wasmill(dir.path()).args(["inspect", "mine", "--json"]));
        assert_eq!(code, Some(0), "{language}: {stdout}{stderr}");
        let about: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
        assert!(about.to_string().contains(kind), "{about}");
    }
}

/// A plugin that wants a number and an integer, both given by parameters → taken as such; words in their place are reported
/// with key, place and value, and nothing else is.
#[test]
fn parameters_as_settings() {
    let dir = tempfile::tempdir().expect("a folder");
    let job = format!(
        "[source.rows]\ntype = \"stdin\"\nevent_time = \"/t: time(unix-ms)\"\n\
         [step.far]\ninput = \"rows\"\nplugin = \"{}\"\n\
         settings = {{ field = \"${{field}}\", sigmas = \"${{sigmas}}\", warm_up = \"${{warm_up:40}}\" }}\n\
         [sink.out]\ninput = \"far\"\ntype = \"stdout\"\n",
        root().join("plugins/running-deviation").display()
    );
    fs::write(dir.path().join("job.toml"), job).expect("it can be written");
    let check = |sigmas: &str, more: &[&str]| {
        let fixed = ["check", "job.toml", "--set=field=/v", "--set", sigmas];
        output(wasmill(dir.path()).args(fixed).args(more))
    };
    let (code, stdout, stderr) = check("sigmas=2.5", &[]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let (code, stdout, stderr) = check("sigmas=three", &["--set=warm_up=0.5"]);
    assert_eq!(code, Some(2), "{stdout}{stderr}");
    for expected in
        ["`sigmas`: expected a number, the parameter is `three`", "`warm_up`: expected an integer", "2 problems"]
    {
        assert!(stderr.contains(expected), "{expected} is not in:\n{stderr}");
    }
}

/// Rows that a plugin fails on → dead letters, which `list` counts by cause; with the plugin repaired, `replay` sends their
/// records through the same job, and they come out with the bytes that they were read with.
#[test]
fn dead_letters_live_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let plugin = root().join("plugins/hostile/transform").canonicalize().expect("it is there");
    let job = |settings: &str, out: &str| {
        format!(
            "[source.rows]\ntype = \"replay\"\npath = \"in.jsonl\"\nsplits = 2\nevent_time = \"/t: time(unix-ms)\"\n\
             [step.work]\ninput = \"rows\"\nplugin = \"{}\"\nsettings = {{ {settings} }}\n\
             [sink.out]\ninput = \"work\"\ntype = \"file\"\npath = \"{out}\"\noverwrite = true\n\
             [dead_letter]\ntype = \"file\"\npath = \"{out}.dead.jsonl\"\noverwrite = true\n",
            plugin.display()
        )
    };
    let lines: Vec<String> = (1..=2_000).map(|id| json!({"t": id * 1_000, "id": id}).to_string()).collect();
    fs::write(dir.path().join("in.jsonl"), lines.join("\n")).expect("it can be written");
    fs::write(dir.path().join("broken.toml"), job("do = \"trap\", every = 500", "first.jsonl")).expect("it can be");
    fs::write(dir.path().join("repaired.toml"), job("", "second.jsonl")).expect("it can be written");

    let (code, stdout, stderr) = output(wasmill(dir.path()).args(["run", "broken.toml"]));
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let (code, stdout, stderr) = output(wasmill(dir.path()).args(["dead-letter", "list", "first.jsonl.dead.jsonl"]));
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains('4') && stdout.contains("trap") && stdout.contains("work"), "{stdout}");
    let replay = ["dead-letter", "replay", "repaired.toml", "first.jsonl.dead.jsonl"];
    let (code, stdout, stderr) = output(wasmill(dir.path()).args(replay));
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let text = fs::read_to_string(dir.path().join("second.jsonl")).expect("the sink wrote it");
    let mut revived: Vec<&str> = text.lines().collect();
    revived.sort_by_key(|line| data::json_lines(line)[0]["id"].as_i64());
    assert_eq!(revived, [&lines[499], &lines[999], &lines[1_499], &lines[1_999]]);
}
