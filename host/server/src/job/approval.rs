//! Whether a version that takes over in a running job asks for more than the one that runs was granted. If so, somebody has
//! to say that it may have it.

use wasmill_plugin::{Grants, Requests};
use wasmill_stream::{Error, ErrorKind, Result};

/// Refuses requests beyond what is granted, saying what is new, what it means, and how to approve it.
pub fn check(requests: &Requests, granted: Grants) -> Result<()> {
    let new: Vec<_> = requests.beyond(granted).collect();
    if new.is_empty() {
        return Ok(());
    }
    let mut words = "this version asks for more than the one that runs was granted:".to_owned();
    for (grant, imports) in &new {
        let (meaning, imports) = (grant.meaning(), imports.join(", "));
        words += &format!("\n+ {grant}: {meaning}; it imports {imports}");
    }
    let flags: Vec<_> = new.iter().map(|(grant, _)| format!("--grant {grant}")).collect();
    let settings: Vec<_> = new.iter().map(|(grant, _)| grant.setting()).collect();
    let (flags, settings) = (flags.join(" "), settings.join(", "));
    words += &format!(
        "\nApprove it with `wasmill swap … {flags}`; for the next start the step needs {settings} in the job file, too"
    );
    Err(Error::new(ErrorKind::Denied, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_plugin::Grant;

    /// Something new → named with its meaning, its imports and the way to approve it; what is granted → no words.
    #[test]
    fn only_what_is_new() {
        let requests =
            Requests { grants: vec![(Grant::Wasi, vec!["wasi:cli/exit@0.2.0".to_owned()])], ..Requests::default() };
        assert!(check(&requests, Grants::ALL).is_ok());
        assert!(check(&Requests::default(), Grants::default()).is_ok());
        let words = check(&requests, Grants::default()).expect_err("it is new").report();
        for expected in
            ["\n+ wasi: an empty WASI", "it imports wasi:cli/exit@0.2.0", "--grant wasi`", "wasi = \"inert\""]
        {
            assert!(words.contains(expected), "{words}");
        }
    }
}
