//! The contract and the SDKs of the languages that have no compiler of their own to fetch them, as part of this program: a
//! plugin folder needs no checkout of the project.

/// Files by their path under some folder.
pub type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($root:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../", $root, $path)))),*]
    };
}

/// The contract, `wit/`.
pub const WIT: Files = files!("wit/": "aggregator.wit", "lifecycle.wit", "log.wit", "metrics.wit", "process.wit", "transform.wit", "types.wit");

/// The module `wasmill` of JavaScript plugins.
pub const JAVASCRIPT: Files = files!("plugins/sdk/javascript/":
    "index.d.ts",
    "index.js",
    "package.json",
    "src/aggregator.js",
    "src/binary.js",
    "src/clock.js",
    "src/codec.js",
    "src/component.js",
    "src/context.js",
    "src/emit.js",
    "src/failure.js",
    "src/fields.js",
    "src/host.js",
    "src/key.js",
    "src/plugin.js",
    "src/process.js",
    "src/settings.js",
    "src/text.js",
    "src/timers.js",
    "src/transform.js",
);

/// The package `wasmill` of Python plugins.
pub const PYTHON: Files = files!("plugins/sdk/python/wasmill/":
    "__init__.py",
    "_aggregator.py",
    "_binary.py",
    "_codec.py",
    "_component.py",
    "_context.py",
    "_emit.py",
    "_failure.py",
    "_fields.py",
    "_host.py",
    "_key.py",
    "_plugin.py",
    "_process.py",
    "_settings.py",
    "_time.py",
    "_timers.py",
    "_traceback.py",
    "_transform.py",
    "log.py",
    "metrics.py",
    "py.typed",
);

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Every file of the contract and of the SDKs is embedded: a list that was forgotten would break plugins elsewhere only.
    #[test]
    fn nothing_is_forgotten() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let cases = [
            ("wit", WIT, &["wit"][..]),
            ("plugins/sdk/javascript", JAVASCRIPT, &["js", "ts"]),
            ("plugins/sdk/python/wasmill", PYTHON, &["py", "typed"]),
        ];
        for (folder, embedded, endings) in cases {
            let mut there = Vec::new();
            list(&root.join(folder), "", endings, &mut there);
            there.sort();
            let listed: Vec<_> =
                embedded.iter().map(|(path, _)| *path).filter(|path| *path != "package.json").collect();
            assert_eq!(there, listed, "{folder}");
        }
    }

    fn list(dir: &Path, under: &str, endings: &[&str], found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).expect("a folder of the project").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if path.is_dir() && name == "src" {
                list(&path, "src/", endings, found);
            } else if path.extension().is_some_and(|ending| endings.iter().any(|one| *one == ending)) {
                found.push(format!("{under}{name}"));
            }
        }
    }
}
