//! What tells the uncommitted output of one sink of one job from that of all others.

use wasmill_stream::checkpoint::Digest;

/// The mark of a sink: eight hexadecimal digits, always the same for the same names.
pub fn mark(job: &str, sink: &str) -> String {
    Digest::of(format!("{job}\n{sink}").as_bytes()).to_string().chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names do not run into each other, and the mark never changes: checkpoints of older versions have it.
    #[test]
    fn marks() {
        assert_ne!(mark("a", "bc"), mark("ab", "c"));
        assert_eq!(mark("taxi", "out"), "c546e562");
    }
}
