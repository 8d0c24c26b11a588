//! Bad job files and everything that `check` says about them.

mod sinks;
mod time;

use super::{Examined, JobFile, Parameters, Plugins, draft, examine, topology};
use crate::build;
use crate::report::line_and_column;
use wasmill_plugin::Host;
use wasmill_stream::config::{Problem, Problems};

/// `LINE:COLUMN MESSAGE (HINT)`, one problem per line. Plugins are not looked at.
fn problems(text: &str) -> Vec<String> {
    let file = JobFile::new("job.toml", text);
    let mut problems = Problems::default();
    if let Some(draft) = draft::read(&file, &Parameters::new([("depth", "5")]), &mut problems) {
        topology::resolve(&draft.nodes, &mut problems);
    }
    problems.into_sorted().iter().map(|problem| line(text, problem)).collect()
}

fn line(text: &str, problem: &Problem) -> String {
    let (line, column) = line_and_column(text, problem.place.start);
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{line}:{column} {}{hint}", problem.message)
}

/// A job without problems, into which the cases below put theirs.
fn job(extra: &str) -> String {
    format!(
        "[source.trips]
type = \"replay\"
path = \"trips.jsonl\"
event_time = \"/dropoff_datetime: time\"
[step.cell]
input = \"trips\"
plugin = \"cell\"
[sink.out]
input = \"cell\"
type = \"stdout\"
{extra}"
    )
}

#[track_caller]
fn expect(text: &str, expected: &[&str]) {
    assert_eq!(problems(text), expected, "in\n{text}");
}

/// The job that the other cases vary has no problem itself, also with everything optional in it.
#[test]
fn good_jobs() {
    expect(&job(""), &[]);
    expect(
        &job("
[engine]
workers = 2
epoch = \"50ms\"
in_flight = \"8 MiB\"
[source.more]
type = \"replay\"
path = \"more.jsonl\"
event_time = \"decoder\"
decoder = { plugin = \"parse\", settings = { depth = \"${depth}\" } }
watermark = { markers = true, idle = \"never\", max_future = \"1m\" }
[step.count]
input = [\"trips\", \"more\"]
plugin = \"count\"
settings = { least = 2 }
limits = { memory = \"32 MiB\", call = \"2s\" }
window = { sliding = \"1h\", every = \"5m\", offset = \"1m\" }
allowed_lateness = \"10m\"
[sink.late]
input = [\"count.late\", \"count\"]
type = \"stdout\"
"),
        &[],
    );
}

/// An empty file lacks a source and a sink; text that is no TOML is reported wherever it is wrong, and nothing else is.
#[test]
fn files_that_are_no_jobs() {
    expect(
        "",
        &["1:1 the job has no source (add a table [source.NAME])", "1:1 the job has no sink (add a table [sink.NAME])"],
    );
    let found = problems("name = \n[source.a\ntype = \"replay\"\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("1:8 not valid TOML: "), "{found:?}");
    assert!(found[1].starts_with("2:"), "{found:?}");
}

/// Misspelt tables, keys and types say what they were probably meant to be.
#[test]
fn misspelt() {
    expect(
        &job("[setp.x]\n[engine]\nworker = 2\n"),
        &[
            "11:2 job: unknown key `setp` (did you mean `step`?)",
            "13:1 engine: unknown key `worker` (did you mean `workers`?)",
        ],
    );
    expect(
        &job("").replace("replay", "repaly").replace("stdout", "stduot"),
        &[
            "2:8 source trips: there is no type `repaly` (did you mean `replay`?)",
            "10:8 sink out: there is no type `stduot` (did you mean `stdout`?)",
        ],
    );
    expect(
        &job("").replace("plugin = ", "plguin = "),
        &[
            "5:7 step cell: `plugin` is missing (is `plguin` meant to be `plugin`?)",
            "7:1 step cell: unknown key `plguin` (did you mean `plugin`?)",
        ],
    );
}

/// Inputs must name something that emits, once, and rows must not run in circles.
#[test]
fn inputs() {
    expect(
        &job("").replace("input = \"trips\"", "input = \"tripps\""),
        &["6:9 step cell: input `tripps` is neither a source nor a step (did you mean `trips`?)"],
    );
    expect(
        &job("").replace("input = \"trips\"", "input = \"zzz\""),
        &["6:9 step cell: input `zzz` is neither a source nor a step (there are: trips, cell)"],
    );
    expect(
        &job("").replace("input = \"trips\"", "input = [\"trips\", \"out\", \"trips\"]"),
        &["6:19 step cell: input `out` is a sink, which has no output", "6:26 step cell: input `trips` is named twice"],
    );
    expect(&job("").replace("input = \"trips\"", "input = []"), &["6:9 step cell: `input` is empty"]);
    expect(
        &job("").replace("input = \"trips\"", "input = 3"),
        &[
            "6:9 step cell: `input`: invalid type: integer `3`, expected the name of a source or step, or a list of names",
        ],
    );
    expect(
        &job("[step.a]\ninput = [\"trips\", \"b\"]\nplugin = \"a\"\n[step.b]\ninput = \"a\"\nplugin = \"b\"\n"),
        &[
            "12:10 steps read each other in a circle: a ← b ← a (rows must flow from sources to sinks: let one of them read something else)",
        ],
    );
}

/// One name means one thing, and is written so that it can be an input.
#[test]
fn names() {
    expect(
        &job("[step.trips]\ninput = \"cell\"\nplugin = \"x\"\n"),
        &["11:7 `trips` is the name of a source and of a step (rename one of them)"],
    );
    expect(
        &job("[step.\"a.late\"]\ninput = \"cell\"\nplugin = \"x\"\n"),
        &["11:7 the name `a.late` may only have letters, digits, `_` and `-`"],
    );
}

/// Settings of the engine and of a plugin are checked in place; a parameter without a value says how to give one.
#[test]
fn values() {
    expect(
        &job("[engine]\nworkers = 0\nepoch = \"0s\"\nin_flight = \"5 GiB\"\n"),
        &[
            "12:11 engine: `workers` must be 1 to 1024, the number of key groups",
            "13:9 engine: `epoch` must be longer than zero",
            "14:13 engine: `in_flight` must be between 1 B and 4 GiB",
        ],
    );
    expect(
        &job("[engine]\nworkers = 2000\n"),
        &["12:11 engine: `workers` must be 1 to 1024, the number of key groups"],
    );
    expect(
        &job("").replace("\"cell\"\n[sink", "\"cell\"\nlimits = { memory = 5, cal = \"1s\" }\n[sink"),
        &[
            "8:21 step cell limits: `memory`: invalid type: integer `5`, expected a size like \"16 MiB\"",
            "8:24 step cell limits: unknown key `cal` (did you mean `call`?)",
        ],
    );
    expect(
        &job("").replace("trips.jsonl", "${in}"),
        &["3:8 source trips: `path`: parameter `in` has no value: pass --set in=… or set it in the environment"],
    );
}

// === with plugins ===

/// The repository, where the job files of these tests lie.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn examined(text: &str, build: bool) -> Examined {
    let builder: super::Builder = Box::new(|dir| build::build(dir, &mut |_| {}));
    let mut plugins = Plugins::new(Host::new().expect("the engine starts"), build.then_some(builder));
    let parameters = Parameters::new([("typo", "x")]);
    examine(&JobFile::new(format!("{ROOT}/job.toml"), text), &parameters, &mut plugins)
}

/// A plugin of another world than its table wants, one that refuses its settings, and one that is not there: each is
/// reported where it is named.
#[test]
fn plugins_that_do_not_fit() {
    let text = job("[step.count]
input = \"trips\"
plugin = \"plugins/pickup-count\"
[step.windows]
input = \"trips\"
plugin = \"plugins/identity\"
window = { tumbling = \"1m\" }
[step.least]
input = \"trips\"
plugin = \"plugins/pickup-count\"
settings = { least = 3 }
window = { tumbling = \"1m\" }
");
    let found = examined(&text, true);
    let lines: Vec<_> = found.problems.iter().map(|problem| line(&text, problem).replace(ROOT, "ROOT")).collect();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines[0].starts_with("7:10 step cell: read plugin ROOT/cell: "), "{lines:#?}");
    assert_eq!(
        lines[1],
        "13:10 step count: there is no `window`, but ROOT/plugins/pickup-count exports world `aggregator` \
         (add one, such as window = { tumbling = \"10m\" })"
    );
    assert_eq!(
        lines[2],
        "16:10 step windows: `window` is given, but ROOT/plugins/identity exports world `transform` \
         (leave `window` out, or use a plugin of world `aggregator`)"
    );
    assert_eq!(lines[3], "21:1 step least: settings: unknown setting `least`");
    assert!(found.job.is_none() && found.outline.is_none());
}

/// Outputs that a plugin does not have → each named, with those that it has; a side output that nobody reads is odd. The
/// order of rows is for processes only.
#[test]
fn outputs() {
    let text = job("[step.parse]
input = \"trips\"
plugin = \"plugins/conformance/rust/transform\"
[step.track]
input = \"parse\"
plugin = \"plugins/conformance/rust/process\"
order = \"event-time\"
[sink.others]
type = \"stdout\"
input = [\"parse.namless\", \"track.late\", \"track.idle\", \"parse.late\", \"trips.x\", \"cell.late\"]
")
    .replace("\"cell\"\n[sink", "\"plugins/identity\"\n[sink");
    let found = examined(&text, true);
    let lines: Vec<_> = found.problems.iter().map(|problem| line(&text, problem)).collect();
    let late = "steps with a `window` have late rows, and processes with order = \"event-time\"";
    let expected = [
        "20:10 `parse` has no output `namless` (did you mean `parse.nameless`?)".to_owned(),
        format!("20:55 `parse` has no late rows ({late}; use `parse`)"),
        "20:69 `trips` has no output `x` (it has none besides its main one; use `trips`)".to_owned(),
        format!("20:80 `cell` has no late rows ({late}; use `cell`)"),
    ];
    assert_eq!(lines, expected);

    let plugin = "plugin = \"plugins/conformance/rust/transform\"";
    let text = job("").replace("plugin = \"cell\"", &format!("{plugin}\norder = \"arrival\""));
    let found = examined(&text, true);
    let lines: Vec<_> = found.problems.iter().map(|problem| line(&text, problem)).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].starts_with("8:9 step cell: `order` is for processes"), "{lines:#?}");

    let text = job("").replace("plugin = \"cell\"", plugin);
    let found = examined(&text, true);
    let warnings: Vec<_> = found.warnings.iter().map(|warning| line(&text, warning)).collect();
    let unread =
        "5:7 nothing reads output `nameless` of step `cell`: its rows are dropped (input = \"cell.nameless\" reads it)";
    assert!(warnings.contains(&unread.to_owned()), "{warnings:#?}");
    assert_eq!(found.problems, []);
}

/// Without a builder, source folders stay unchecked: there is a picture of the job, but nothing that could run.
#[test]
fn nothing_is_built_unless_wanted() {
    let found = examined(&job("").replace("\"cell\"\n[sink", "\"plugins/identity\"\n[sink"), false);
    assert_eq!(found.problems, []);
    assert!(found.job.is_none());
    let outline = found.outline.expect("nothing is wrong").to_string();
    assert!(outline.contains("plugins/identity, not built"), "{outline}");
}

/// What is odd is said, and the job can run: a parameter that nothing asks for, rows that nobody reads.
#[test]
fn warnings() {
    let text = job("")
        .replace("\"cell\"\n[sink", "\"plugins/identity\"\n[sink")
        .replace("input = \"cell\"", "input = \"trips\"");
    let found = examined(&text, true);
    let lines: Vec<_> = found.warnings.iter().map(|warning| line(&text, warning)).collect();
    let expected = [
        "1:1 parameter `typo` is set, but the job file never mentions ${typo}",
        "5:7 nothing reads step `cell`: its rows are dropped",
    ];
    assert_eq!(lines, expected);
    let job = found.job.expect("warnings are no problems");
    assert_eq!(job.graph.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["trips", "cell", "out"]);
    assert_eq!(job.name, "job");
}
