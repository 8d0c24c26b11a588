//! The component that a job file names: what a restart makes of it when it was on probation, rolled back or refused, and what
//! becomes of a component that was swapped in when only settings change.

use crate::harness::builds;
use crate::harness::host::Host;
use crate::harness::live::{course, history, listens, obeyed, refused};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::registry::sha256;
use crate::harness::stream::{Stream, job, version};
use crate::pipeline::{self, Input, Pipeline, Turn};
use std::fs;
use std::path::Path;
use wasmill_stream::checkpoint::PluginMark;

/// A run that has got further than the one before.
fn started(pipeline: &Pipeline) -> Host {
    let before = pipeline.progress();
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(500) });
    pipeline.wait_for_progress(&mut host, before);
    host
}

/// Puts another build of a plugin where a job finds it, and returns its digest.
fn deploy(path: &Path, plugin: &str, number: usize) -> String {
    let bytes = builds::another(&fs::read(component(plugin)).expect("it was built"), number);
    let draft = path.with_extension("draft");
    fs::write(&draft, &bytes).expect("it can be written");
    fs::rename(draft, path).expect("it can be renamed");
    digest(&bytes)
}

/// The digest of a component, as manifests name it.
fn digest(bytes: &[u8]) -> String {
    sha256(bytes).trim_start_matches("sha256:").to_owned()
}

/// What a checkpoint says of the plugin of a step that began after this call.
fn noted(pipeline: &Pipeline, step: &str) -> PluginMark {
    let newest = || pipeline.manifests().newest();
    // The next one may have begun before.
    let after = newest().map_or(0, |manifest| manifest.number) + 1;
    until("another checkpoint", || newest().filter(|manifest| manifest.number > after)).plugins[step].clone()
}

/// The job file names another component, which is swapped in and still on probation when the job is stopped; later it is rolled back
/// and the job killed → the next start runs what the file names, and after the rollback what was put back.
#[test]
fn the_plugin_of_the_file_on_probation() {
    let pipeline = Pipeline::new(Input::new(30_000), pipeline::local()).relative();
    let first = digest(&fs::read(component("cell-average")).expect("it was built"));
    let host = started(&pipeline);
    let filed = pipeline.path().join("cell-average.wasm");
    let swap = ["swap", "job.toml", "averages", "cell-average.wasm", "--probation", "10m"];
    let second = deploy(&filed, "cell-average", 1);
    obeyed(pipeline.path(), &swap);
    let mark = noted(&pipeline, "averages");
    assert_eq!((mark.sha256, mark.declared), (first, None), "nothing is decided yet");
    host.signal("TERM");
    host.wait().well();
    let host = started(&pipeline);
    assert!(!host.text().contains("which was swapped in"), "{}", host.text());
    let mark = noted(&pipeline, "averages");
    assert_eq!((&mark.sha256, mark.declared), (&second, None), "the file names it");
    let third = deploy(&filed, "cell-average", 2);
    obeyed(pipeline.path(), &swap);
    obeyed(pipeline.path(), &["rollback", "job.toml", "averages", "--keep-state"]);
    let mark = noted(&pipeline, "averages");
    assert_eq!((&mark.sha256, mark.declared), (&second, Some(third)), "it was decided against the file");
    host.kill();
    let host = started(&pipeline);
    assert!(host.text().contains(&format!("({second:.8}), which was swapped in")), "{}", host.text());
    pipeline.rest(host);
    pipeline.check();
}

/// A job file with two new plugins, one of them for a step with a canary → it is refused, the other step has its version back, and
/// the checkpoints do not take the file for applied. Then a component is swapped in, and a setting of its step is changed → the
/// component stays.
#[test]
fn files_that_are_refused_and_settings_that_change() {
    let pipeline = Pipeline::new(Input::new(30_000), pipeline::local()).relative();
    let first = digest(&fs::read(component("running-deviation")).expect("it was built"));
    let mut host = started(&pipeline);
    let dir = pipeline.path();
    let [alerts, cells] = ["alerts.wasm", "cells.wasm"].map(|name| dir.join(name));
    deploy(&alerts, "running-deviation", 1);
    deploy(&cells, "cell-key", 1);
    obeyed(dir, &["swap", "job.toml", "cells", "cells.wasm", "--canary", "10%"]);
    deploy(&cells, "cell-key", 2);
    let text = fs::read_to_string(dir.join("job.toml")).expect("it is there");
    let both = text.replace("running-deviation.wasm", "alerts.wasm").replace("cell-key.wasm", "cells.wasm");
    fs::write(dir.join("job.toml"), both).expect("it can be written");
    let error = refused(dir, &["apply", "job.toml"]);
    assert!(error.contains("is on trial in step cells"), "{error}");
    assert_eq!(course(&history(dir, "alerts")), ["swapped", "rolled-back"]);
    let mark = noted(&pipeline, "alerts");
    assert_eq!((&mark.sha256, mark.declared), (&first, None), "it runs what the file named before");
    obeyed(dir, &["swap", "job.toml", "cells", "--abort"]);

    let swapped_in = deploy(&alerts, "running-deviation", 2);
    obeyed(dir, &["swap", "job.toml", "alerts", "alerts.wasm", "--probation", "0s"]);
    fs::remove_file(&alerts).expect("it is there");
    let more = text.replace("warm_up = 10,", "warm_up = 10, sigmas = 3.0,");
    assert_ne!(more, text);
    fs::write(dir.join("job.toml"), more).expect("it can be written");
    let said = obeyed(dir, &["apply", "job.toml"]);
    assert!(said.contains("step.alerts.settings.sigmas: 3.0") && said.contains("on probation"), "{said}");
    let mark = noted(&pipeline, "alerts");
    assert_eq!((mark.sha256, mark.declared), (swapped_in, Some(first)), "the component stays");
    let before = pipeline.progress();
    pipeline.wait_for_progress(&mut host, before);
    pipeline.rest(host);
    pipeline.check();
}

/// The version that is on probation is swapped in once more → nothing is done, and the version before it can still be put back; as
/// a shadow it is refused.
#[test]
fn the_same_version_twice() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    for name in ["v0001", "v0002"] {
        fs::write(dir.join(format!("{name}.wasm")), version(name)).expect("it can be written");
    }
    fs::write(dir.join("job.toml"), job(&[("cents", "v0001.wasm")])).expect("it can be written");
    let mut stream = Stream::run(dir, &[]);
    listens(dir, "cents");
    let swap = ["swap", "job.toml", "cents", "v0002.wasm", "--probation", "10m"];
    obeyed(dir, &swap);
    stream.assert_runs("v0002", 1);
    let said = obeyed(dir, &swap);
    assert!(said.contains("is on trial already, on probation"), "{said}");
    let error = refused(dir, &["swap", "job.toml", "cents", "v0002.wasm", "--shadow", "1m"]);
    assert!(error.contains("is on trial already") && error.contains("--promote"), "{error}");
    obeyed(dir, &["rollback", "job.toml", "cents", "--keep-state"]);
    stream.assert_runs("v0001", 1);
    assert_eq!(course(&history(dir, "cents")), ["swapped", "refused", "rolled-back"]);
    stream.end(&["cents"]);
}
