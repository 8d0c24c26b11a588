//! The document of the API, held against the API by schemathesis: requests of every kind that it allows, and many that it does not.

use crate::harness::fleet::Fleet;
use crate::harness::program::output;
use crate::harness::{report, root, skipped};
use crate::pipeline::{self, Input, Pipeline};
use std::fs;
use std::process::Command;

/// The exit code of a script whose tool cannot be had on this machine.
const CANNOT_BE_HAD: i32 = 77;

/// A host with a running job, asked for whatever its document allows, and with what it does not → no answer of its own mistake,
/// and none that the document does not name, by status, content type and shape.
#[test]
fn the_document_is_true() {
    let fleet = Fleet::new();
    // One machine asks as fast as it can.
    fs::write(fleet.path().join("host.toml"), "[api]\nrequests_per_second = 100000\n").expect("it can be written");
    let pipeline = Pipeline::new(Input::new(20_000), pipeline::local());
    fleet.write("job", &pipeline.text(Some(500)));
    let verbs = ["read", "rows", "operate", "deploy"].map(|verb| format!("--verb={verb}"));
    let token = fleet.token("fuzzer", &verbs.each_ref().map(String::as_str));
    let mut serving = fleet.start().with_token(&token);
    serving.until("job", "running");
    let mut command = Command::new(root().join("tests/tools/schemathesis.sh"));
    command.args([&serving.url("/api/v1/openapi.json"), &token, "job"]).env("SCHEMATHESIS_FOLDER", fleet.path());
    let (code, said, error) = output(&mut command);
    if code == Some(CANNOT_BE_HAD) {
        assert!(std::env::var_os("WASMILL_REQUIRE_SERVERS").is_none(), "schemathesis is required: {error}");
        return skipped("needs schemathesis");
    }
    assert!(code == Some(0), "{said}{error}");
    let counts = said.lines().rev().find(|line| line.contains("generated")).unwrap_or("no count");
    report(counts.trim());
    serving.stop().well();
}
