//! Programs by others, in the folder `tools`, that scripts of the same name install once.

use super::{root, skipped};
use std::process::{Command, Stdio};

/// The exit code of a script whose tool cannot be had on this machine.
const CANNOT_BE_HAD: i32 = 77;

/// The command that a script has prepared, with its first arguments. With `WASMILL_REQUIRE_SERVERS` set it is a failure if it
/// cannot be had. `what`: for messages.
pub fn tool(script: &str, what: &str) -> Option<Vec<String>> {
    let mut command = Command::new(root().join("tests/tools").join(script));
    let output = command.stderr(Stdio::inherit()).output().expect("the script is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(words) = text.trim().strip_prefix("READY ") {
        return Some(words.split(' ').map(str::to_owned).collect());
    }
    assert_eq!(output.status.code(), Some(CANNOT_BE_HAD), "{script} failed, see above");
    assert!(std::env::var_os("WASMILL_REQUIRE_SERVERS").is_none(), "{what} are required");
    skipped(&format!("needs {what}"));
    None
}
