//! What proves that an input is the one of a checkpoint: how it is dealt, and which files or which generator it is. Files
//! may have been added behind the last one, and the last one may have become longer.

use crate::saved;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use wasmill_stream::checkpoint::Digest;
use wasmill_stream::source::Resume;
use wasmill_stream::{Error, Result};

/// How much of the beginning and of the end of a file is looked at.
const SAMPLE: u64 = 4 << 10;

/// The note of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// How many splits there are.
    pub splits: usize,
    /// Whether the input must not have grown either: the marker behind the last record has a position too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// The settings that decide which record gets which position, by name.
    pub dealing: Vec<(String, String)>,
    /// The input.
    pub input: Input,
}

/// Which input it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Files in the order in which they are played.
    Files(Vec<FileProof>),
    /// Made-up records, by the settings that make them.
    Generated(Vec<(String, String)>),
}

/// A file as it was when the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProof {
    /// Its name without its folder.
    pub name: String,
    /// Its size; `None` if it is no file but a pipe, which cannot be read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Of its beginning and of the end that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Digest>,
}

impl Proof {
    /// The note of the run before, if it came so far.
    pub fn of(resume: Option<&Resume>) -> Result<Option<Self>> {
        saved::note(resume, "a replay")
    }

    /// An error if this is another number of splits. To be asked before any position is looked at.
    pub fn check_splits(&self, splits: usize) -> Result<()> {
        if self.splits == splits {
            return Ok(());
        }
        Err(changed("splits", &self.splits.to_string(), &splits.to_string()))
    }

    /// An error if this input, of `files`, does not go on where the one `before` was.
    pub fn follows(&self, before: &Self, files: &[impl AsRef<Path>]) -> Result<()> {
        same_settings(&before.dealing, &self.dealing)?;
        match (&before.input, &self.input) {
            (Input::Generated(before), Input::Generated(now)) => same_settings(before, now)?,
            (Input::Files(before), Input::Files(now)) => same_files(before, now, files)?,
            (Input::Files(_), Input::Generated(_)) => return Err(changed("generate", "files", "made-up records")),
            (Input::Generated(_), Input::Files(_)) => return Err(changed("path", "made-up records", "files")),
        }
        if self.exact && self.input != before.input {
            return Err(Error::invalid(
                "its files have grown since the checkpoint was made, which they must not with `markers`: the last marker \
                 says that nothing follows; take the new records away, or give this source another name to start anew",
            ));
        }
        Ok(())
    }
}

impl FileProof {
    /// Of a file as it is now.
    pub fn of(path: &Path) -> io::Result<Self> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let info = path.metadata()?;
        if !info.is_file() {
            return Ok(Self { name, bytes: None, sample: None });
        }
        Ok(Self { name, bytes: Some(info.len()), sample: Some(sample(path, info.len())?) })
    }
}

/// Of the beginning of a file and of what stands before `end`.
fn sample(path: &Path, end: u64) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    for start in [0, end.saturating_sub(SAMPLE)] {
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(SAMPLE.min(end - start)).read_to_end(&mut bytes)?;
    }
    Ok(Digest::of(&bytes))
}

fn same_settings(before: &[(String, String)], now: &[(String, String)]) -> Result<()> {
    if let Some(((name, before), (_, now))) = before.iter().zip(now).find(|(before, now)| before != now) {
        return Err(changed(name, before, now));
    }
    // A version that did not know a setting did what none of its values means.
    now.get(before.len()).map_or(Ok(()), |(name, now)| Err(changed(name, "unknown", now)))
}

fn changed(setting: &str, before: &str, now: &str) -> Error {
    Error::invalid(format!(
        "`{setting}` was {before} when the checkpoint was made and is {now} now, so that positions mean something else: put \
         it back, or give this source another name to start anew"
    ))
}

fn same_files(before: &[FileProof], now: &[FileProof], paths: &[impl AsRef<Path>]) -> Result<()> {
    let mut current = now.iter().zip(paths);
    for (at, file) in before.iter().enumerate() {
        let other = |what: String| {
            Error::invalid(format!(
                "{what}: a job goes on only with the same files, behind which others may have been added; put `{}` back, or \
                 give this source another name to start anew",
                file.name
            ))
        };
        let Some((now, path)) = current.next() else {
            return Err(other(format!("file {} of the checkpoint, `{}`, is missing", at + 1, file.name)));
        };
        let path = path.as_ref();
        if now.name != file.name {
            return Err(other(format!("file {} was `{}`, now it is `{}`", at + 1, file.name, path.display())));
        }
        let (Some(was), Some(is)) = (file.bytes, now.bytes) else {
            return Err(other(format!("`{}` is a pipe and cannot be read again", path.display())));
        };
        if is < was {
            return Err(other(format!("`{}` had {was} bytes and now has only {is}", path.display())));
        }
        if is > was && at + 1 < before.len() {
            // Its new records would move the positions of those of the next file.
            return Err(other(format!("`{}` had {was} bytes, now it has {is} and was not the last", path.display())));
        }
        let sample = sample(path, was)
            .map_err(|error| Error::invalid(format!("read `{}`", path.display())).with_source(error))?;
        if file.sample != Some(sample) {
            return Err(other(format!("`{}` has changed: its first {was} bytes are others", path.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::tempdir;

    /// Files of these names and texts, and what proves them.
    fn files(folder: &Path, texts: &[(&str, &str)]) -> (Proof, Vec<std::path::PathBuf>) {
        let paths: Vec<_> = texts.iter().map(|(name, _)| folder.join(name)).collect();
        for (path, (_, text)) in paths.iter().zip(texts) {
            fs::write(path, text).expect("a file");
        }
        let proofs = paths.iter().map(|path| FileProof::of(path).expect("a file")).collect();
        (Proof { splits: 1, exact: false, dealing: Vec::new(), input: Input::Files(proofs) }, paths)
    }

    /// Longer last files and more files go on; whatever else has become of a file is an error that names it.
    #[test]
    fn files_may_grow_at_the_end() {
        let folder = tempdir().expect("a folder");
        let (long, longer) = ("0123456789\n".repeat(2000), "0123456789\n".repeat(2001));
        let (before, _) = files(folder.path(), &[("a", "one\n"), ("b", &long)]);
        let now = |texts: &[(&str, &str)]| {
            let (now, paths) = files(folder.path(), texts);
            now.follows(&before, &paths).map_err(|error| error.to_string())
        };
        assert_eq!(now(&[("a", "one\n"), ("b", &long)]), Ok(()));
        assert_eq!(now(&[("a", "one\n"), ("b", &longer)]), Ok(()));
        assert_eq!(now(&[("a", "one\n"), ("b", &longer), ("c", "more\n")]), Ok(()));
        let (grown, paths) = files(folder.path(), &[("a", "one\n"), ("b", &longer)]);
        let grown = Proof { exact: true, ..grown };
        let error = grown.follows(&before, &paths).expect_err("a marker stands at the end").to_string();
        assert!(error.contains("must not with `markers`"), "{error}");
        let other_end = format!("{}x\n", &long[..long.len() - 2]);
        for (texts, word) in [
            (&[("a", "one\n"), ("b", &long[1..])][..], "b` had 22000 bytes and now has only 21999"),
            (&[("a", "one\nmore\n"), ("b", &long)], "a` had 4 bytes, now it has 9 and was not the last"),
            (&[("a", "two\n"), ("b", &long)], "a` has changed"),
            (&[("a", "one\n"), ("b", &other_end)], "b` has changed"),
            (&[("a", "one\n"), ("aa", "new\n"), ("b", &long)], "file 2 was `b`, now it is"),
            (&[("a", "one\n")], "`b`, is missing"),
        ] {
            let error = now(texts).expect_err(word);
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    /// A setting that moves positions, another generator and another number of splits are errors that name both values.
    #[test]
    fn settings_must_stay() {
        let setting = |value: &str| vec![("seed".to_owned(), value.to_owned())];
        let proof = |splits, dealing: &str, seed: &str| Proof {
            splits,
            exact: false,
            dealing: setting(dealing),
            input: Input::Generated(setting(seed)),
        };
        let none: [&Path; 0] = [];
        let follows = |now: Proof| now.follows(&proof(2, "x", "1"), &none).map_err(|error| error.to_string());
        assert_eq!(follows(proof(2, "x", "1")), Ok(()));
        for (now, word) in [
            (proof(2, "y", "1"), "`seed` was x when the checkpoint was made and is y"),
            (proof(2, "x", "7"), "`seed` was 1 when"),
        ] {
            let error = follows(now).expect_err(word);
            assert!(error.contains(word), "{word}: {error}");
        }
        let more = Proof { dealing: [setting("x"), setting("new")].concat(), ..proof(2, "x", "1") };
        let error = follows(more).expect_err("an older version").to_string();
        assert!(error.contains("`seed` was unknown when the checkpoint was made and is new now"), "{error}");
        let error = proof(2, "x", "1").check_splits(3).expect_err("another number").to_string();
        assert!(error.contains("`splits` was 2 when the checkpoint was made and is 3"), "{error}");
    }
}
