//! What has become of the plugins of a job: told while it runs, while it does not, and after it was started again.

use crate::harness::builds::another;
use crate::harness::live::{course, history, listens, obeyed, refused};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::unwrapped;
use crate::harness::versions::version;
use crate::pipeline::{self, Input, Pipeline, Turn};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Waits until a checkpoint holds states of this version.
fn holds(pipeline: &Pipeline, version: u32) {
    until("a checkpoint", || {
        let newest = pipeline.manifests().newest()?;
        (newest.steps.get("averages")?.state_version == version).then_some(())
    });
}

/// Puts a version into the aggregator for good.
fn swap_now(dir: &Path, arguments: &[&str]) {
    obeyed(dir, &[&["swap", "job.toml", "averages", "--probation", "0s"][..], arguments].concat());
}

/// A version swapped in, gone back from with the state kept, a file that is none, and a version with a newer state, from which
/// there is no way back; then a stop and another start → each is in the history, as text and as JSON, in all three times; what
/// has run before is not known to the next run; every row comes out once.
#[test]
fn is_told_before_and_after_a_restart() {
    let pipeline = Pipeline::new(Input::new(40_000), pipeline::local()).relative();
    let dir = pipeline.path();
    let first = fs::read(version(1)).expect("it was built");
    fs::write(dir.join("again.wasm"), another(&first, 1)).expect("it can be written");
    fs::write(dir.join("broken.wasm"), &first[..first.len() / 2]).expect("it can be written");
    let second = version(2);
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(1_000) });
    listens(dir, "averages");
    pipeline.wait_for_progress(&mut host, 0);
    assert!(obeyed(dir, &["history", "job.toml"]).contains("nothing has been swapped"));
    let reason = unwrapped(&refused(dir, &["rollback", "job.toml", "averages", "--keep-state"]));
    assert!(reason.contains("no version of step averages before this one is known to this run"), "{reason}");

    swap_now(dir, &["again.wasm", "--why", "half-hour windows"]);
    let said = obeyed(dir, &["rollback", "job.toml", "averages", "--keep-state", "--why", "too slow"]);
    assert!(said.contains("put back in place of") && said.contains("with the state as it is"), "{said}");
    let reason = unwrapped(&refused(dir, &["swap", "job.toml", "averages", "broken.wasm"]));
    assert!(reason.contains("broken.wasm does not fit"), "{reason}");
    swap_now(dir, &[&second, "--why", "tells versions"]);
    let reason = unwrapped(&refused(dir, &["rollback", "job.toml", "averages", "--keep-state"]));
    assert!(reason.contains("version 2, and this plugin knows only up to 1"), "{reason}");
    // Two versions on probation, one after the other: the first has stood it when the second one comes.
    let alerts = fs::read(component("running-deviation")).expect("it was built");
    for number in [1, 2] {
        fs::write(dir.join("alerts.wasm"), another(&alerts, number)).expect("it can be written");
        obeyed(dir, &["swap", "job.toml", "alerts", "alerts.wasm"]);
    }
    for _ in [2, 1] {
        let said = obeyed(dir, &["rollback", "job.toml", "alerts", "--keep-state"]);
        assert!(said.contains("running-deviation 0.1.0 (") && said.contains(") put back"), "{said}");
    }

    let events = history(dir, "averages");
    let expected = ["swapped", "rolled-back", "refused", "swapped"];
    assert_eq!(course(&events), expected, "{events:?}");
    let whys: Vec<Value> = events.iter().map(|event| event["why"].clone()).collect();
    assert_eq!(whys, [json!("half-hour windows"), json!("too slow"), Value::Null, json!("tells versions")]);
    let digest = |event: &Value, whose: &str| event[whose]["sha256"].as_str().map(str::to_owned);
    assert!(digest(&events[0], "version").is_some_and(|digest| digest.len() == 64), "{}", events[0]);
    let versions = |event: &Value| ["version", "before"].map(|whose| digest(event, whose));
    assert_eq!(versions(&events[0]), versions(&events[1]), "what came is what went");
    assert_ne!(digest(&events[0], "version"), digest(&events[0], "before"));
    let of_alerts = history(dir, "alerts");
    assert_eq!(course(&of_alerts), ["swapped", "promoted", "swapped", "rolled-back", "rolled-back"], "{of_alerts:?}");
    assert_eq!(versions(&of_alerts[0]), versions(&of_alerts[4]), "back to where it began");
    let text = obeyed(dir, &["history", "job.toml", "averages"]);
    let outcomes = events.iter().map(|event| event["outcome"].as_str().and_then(|outcome| outcome.lines().next()));
    for outcome in outcomes {
        assert!(text.contains(outcome.expect("each has one")), "{outcome:?} is not in {text}");
    }
    assert!(
        text.contains(": half-hour windows") && text.contains("  averages  rolled back  cell-average 0.1.0 "),
        "{text}"
    );

    holds(&pipeline, 2);
    host.signal("TERM");
    host.wait().well();
    assert_eq!(history(dir, "averages"), events, "of a job that does not run");
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(1_000) });
    listens(dir, "averages");
    pipeline.wait_for_progress(&mut host, pipeline.progress());
    assert_eq!(history(dir, "averages"), events, "of the next run");
    assert!(obeyed(dir, &["swap", "job.toml", "averages"]).contains("cell-average-2 0.1.0 ("));
    let reason = unwrapped(&refused(dir, &["rollback", "job.toml", "averages", "--keep-state"]));
    assert!(reason.contains("known to this run") && reason.contains("brings one back"), "{reason}");
    swap_now(dir, &[&version(3)]);
    assert_eq!(course(&history(dir, "averages")), [&expected[..], &["swapped"][..]].concat());
    pipeline.rest(host);
    pipeline.check();
}
