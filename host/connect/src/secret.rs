//! Passwords and keys. They come from parameters, never from the text of a job file, and no message or log shows them.

use std::fmt;
use wasmill_stream::config::{Problems, Section};

/// A setting whose value is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Reads a secret setting. One that stands in the job file itself is a problem.
    pub fn check(key: &'static str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Self> {
        section.secret(key, problems).map(Self)
    }

    /// Reads a table of secrets by name.
    pub fn check_all(key: &'static str, section: &mut Section<'_>, problems: &mut Problems) -> Vec<(String, Self)> {
        section.secrets(key, problems).into_iter().map(|(name, value)| (name, Self(value))).collect()
    }

    /// The value, for the one call that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever prints settings for debugging does not print a secret.
    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Some(Secret("hunter2".to_owned()))), "Some((secret))");
    }
}
