//! What a project looks like in each language: its files, as templates.

use clap::ValueEnum;
use wasmill_plugin::Kind;

/// A language that `wasmill build` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// With the crate `wasmill`.
    Rust,
    /// With the package `wasmill`.
    Python,
    /// With the module `wasmill`.
    #[value(name = "javascript", alias = "js")]
    JavaScript,
}

/// A file of a project: its path, and its text with names in double braces.
pub type Template = (&'static str, &'static str);

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("templates/", $path))
    };
}

impl Language {
    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        }
    }

    /// The file with the logic.
    pub fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Python => "plugin.py",
            Self::JavaScript => "plugin.js",
        }
    }

    /// The files of a project, besides those that all languages have.
    pub fn templates(self, kind: Kind) -> [Template; 3] {
        let (manifest, ignored) = match self {
            Self::Rust => (("Cargo.toml", template!("rust/Cargo.toml.txt")), template!("rust/gitignore.txt")),
            Self::Python => {
                (("pyproject.toml", template!("python/pyproject.toml.txt")), template!("python/gitignore.txt"))
            }
            Self::JavaScript => {
                (("package.json", template!("javascript/package.json.txt")), template!("javascript/gitignore.txt"))
            }
        };
        [manifest, (".gitignore", ignored), (self.source(), self.logic(kind))]
    }

    fn logic(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Rust, Kind::Transform) => template!("rust/transform.rs"),
            (Self::Rust, Kind::Aggregator) => template!("rust/aggregator.rs"),
            (Self::Rust, Kind::Process) => template!("rust/process.rs"),
            (Self::Python, Kind::Transform) => template!("python/transform.py"),
            (Self::Python, Kind::Aggregator) => template!("python/aggregator.py"),
            (Self::Python, Kind::Process) => template!("python/process.py"),
            (Self::JavaScript, Kind::Transform) => template!("javascript/transform.js"),
            (Self::JavaScript, Kind::Aggregator) => template!("javascript/aggregator.js"),
            (Self::JavaScript, Kind::Process) => template!("javascript/process.js"),
        }
    }
}

/// What a kind's example does, in all languages.
pub struct Example {
    /// In a sentence.
    pub about: &'static str,
    /// How a job sets it up, besides its input and its plugin.
    pub settings: &'static str,
    /// Its cases.
    pub cases: &'static [Template],
}

/// The example of a kind.
pub fn example(kind: Kind) -> Example {
    match kind {
        Kind::Transform => Example {
            about: "Keeps the requests that failed or were slow, and keys them by service.",
            settings: "settings = { slow_ms = 500 }",
            cases: &[("cases/troubled.jsonl", template!("cases/transform/troubled.jsonl"))],
        },
        Kind::Aggregator => Example {
            about: "Counts the requests of each service in a window: all, failed ones, and how long the slowest took.",
            settings: "settings = { at_least = 1 }\nwindow = { tumbling = \"1m\" }",
            cases: &[
                ("cases/late.jsonl", template!("cases/aggregator/late.jsonl")),
                ("cases/minute.jsonl", template!("cases/aggregator/minute.jsonl")),
            ],
        },
        Kind::Process => Example {
            about: "Tells when a service falls silent, and when it is back.",
            settings: "settings = { after_seconds = 300 }\norder = \"event-time\"",
            cases: &[("cases/silence.jsonl", template!("cases/process/silence.jsonl"))],
        },
    }
}
