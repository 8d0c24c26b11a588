//! The program itself. Because there is this test, `cargo test --workspace` builds it, with the features of all other tests.

use std::process::Command;

/// `wasmill --help` names every command with a line about it, and `wasmill --version` the version of the package.
#[test]
fn help_names_every_command() {
    let said = |argument: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_wasmill")).arg(argument).output().expect("it starts");
        assert!(output.status.success(), "{argument}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let help = said("--help");
    let commands = ["run", "check", "demo", "new", "build", "test", "inspect", "swap", "rollback", "history", "apply"];
    for command in commands.into_iter().chain(["checkpoint", "dead-letter", "connectors"]) {
        let line = help.lines().find(|line| line.trim_start().starts_with(&format!("{command} ")));
        assert!(line.is_some_and(|line| line.trim().len() > command.len() + 10), "{command} in\n{help}");
    }
    assert_eq!(said("--version").trim(), format!("wasmill {}", env!("CARGO_PKG_VERSION")));
}
