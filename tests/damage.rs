//! Checkpoints that were changed, cut or removed: found before anything is written, and named.

use crate::harness::chance::{Chance, count};
use crate::harness::job::{Failure, Job};
use crate::harness::manifests::Manifests;
use crate::harness::patience::until;
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::report;
use crate::harness::search::Search;
use crate::pipeline::{self, Input, Outlet, Pipeline, Turn};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmill_connect::checkpoint_store::StorePlace;
use wasmill_engine::Journal;
use wasmill_stream::ErrorKind;
use wasmill_stream::checkpoint::Manifest;

/// All files below a folder, by their path in it.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn read(root: &Path) -> Files {
    let mut all = Files::new();
    pipeline::files(root, &mut |path| {
        let name = path.strip_prefix(root).expect("it lies there").to_owned();
        all.insert(name, fs::read(path).expect("it can be read"));
    });
    all
}

fn write(root: &Path, files: &Files) {
    fs::remove_dir_all(root).expect("it is there");
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("it is below")).expect("a folder");
        fs::write(path, bytes).expect("it can be written");
    }
}

/// A stopped job, the files of its checkpoints, and those of its sinks.
struct Stopped {
    pipeline: Pipeline,
    search: Arc<Search>,
    folder: PathBuf,
    whole: Files,
}

fn pipeline(records: usize) -> (Pipeline, Arc<Search>) {
    let search = Arc::new(Search::start());
    let index = Outlet::Index { search: search.clone(), url: search.url.clone() };
    (Pipeline::new(Input::new(records), vec![Outlet::Folder, Outlet::File, index]), search)
}

impl Stopped {
    /// Stopped in the middle, with some checkpoints and a savepoint.
    fn new() -> Self {
        let (pipeline, search) = pipeline(4_000);
        let pipeline = pipeline.every("50ms");
        let mut host = pipeline.start(Turn { workers: 2, rate: Some(400) });
        let mut progress = 0;
        for _ in 0..6 {
            progress = pipeline.wait_for_progress(&mut host, progress);
        }
        host.signal("TERM");
        host.wait().well();
        let job = pipeline.write_job(None);
        let (code, stdout, stderr) =
            output(wasmill(pipeline.path()).args(["checkpoint", "savepoint"]).arg(job).arg("kept"));
        assert_eq!(code, Some(0), "{stdout}{stderr}");
        Self::of(pipeline, search)
    }

    /// Killed when its newest checkpoint had complete files of a sink that wait for their names.
    fn killed() -> Self {
        let (pipeline, search) = pipeline(20_000);
        let newest =
            || pipeline.manifests().newest().filter(|newest| parts(newest).iter().any(|part| part.is_complete));
        while newest().is_none() {
            let mut host = pipeline.start(Turn { workers: 2, rate: Some(2_000) });
            until("a file that is complete", || {
                assert!(host.status().is_none(), "{}", host.text());
                newest()
            });
            host.kill();
        }
        Self::of(pipeline, search)
    }

    fn of(pipeline: Pipeline, search: Arc<Search>) -> Self {
        let Manifests::Folder(folder) = pipeline.manifests() else { panic!("it is a folder") };
        let (folder, whole) = (folder.clone(), read(folder));
        Self { pipeline, search, folder, whole }
    }

    fn newest(&self) -> Manifest {
        self.pipeline.manifests().newest().expect("there is one")
    }

    /// What can be seen of the job from outside, its checkpoints aside.
    fn outside(&self) -> (Files, Vec<BTreeMap<String, String>>) {
        let mut files = read(self.pipeline.path());
        files.retain(|path, _| !path.starts_with("checkpoints") && path.extension().is_none_or(|end| end != "log"));
        (files, ["rows", "averages"].map(|index| self.search.documents(index)).into())
    }

    /// What `wasmill checkpoint verify` finds.
    fn verify(&self) -> Vec<String> {
        let runtime = tokio::runtime::Runtime::new().expect("threads can be had");
        runtime.block_on(problems(&self.folder)).expect("the folder can be read")
    }

    /// Starts the job in this process, and returns why it did not run.
    fn refusal(&self) -> (ErrorKind, String) {
        let job = fs::read_to_string(self.pipeline.write_job(None)).expect("it was written");
        match Job::new(job).workers(2).try_run() {
            Err(Failure::Error(error)) => (error.kind(), error.report()),
            Err(failure) => panic!("{}", failure.text()),
            Ok(_) => panic!("it ran"),
        }
    }

    /// Runs `wasmill checkpoint` with these words.
    fn checkpoint(&self, command: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut program = wasmill(self.pipeline.path());
        output(program.args(["checkpoint", command]).arg(self.pipeline.write_job(None)).args(arguments))
    }
}

/// A file that a manifest names for a sink, which is not committed.
#[derive(Debug)]
struct SinkPart {
    /// What it is called, and what it will be.
    names: [String; 2],
    bytes: usize,
    /// Whether nothing will be appended to it.
    is_complete: bool,
}

/// The files of all sinks that have rows of this checkpoint.
fn parts(manifest: &Manifest) -> Vec<SinkPart> {
    let part = |entry: &Value, is_complete| {
        let bytes = entry["bytes"].as_u64()? as usize;
        let names = ["part", "name"].map(|name| entry[name].as_str().unwrap_or_default().to_owned());
        (bytes > 0).then_some(SinkPart { names, bytes, is_complete })
    };
    let of_sink = |prepared: &Value| {
        let complete = prepared["finished"].as_array().into_iter().flatten().map(move |entry| part(entry, true));
        complete.chain([part(&prepared["open"], false)]).flatten().collect::<Vec<_>>()
    };
    manifest.sinks.values().flat_map(|mark| of_sink(&mark.prepared)).collect()
}

/// Everything that is wrong with any checkpoint or savepoint in the folder.
async fn problems(folder: &Path) -> wasmill_stream::Result<Vec<String>> {
    let journal = Journal::new(StorePlace::folder(folder).open().await?);
    let mut manifests = Vec::new();
    for number in journal.numbers().await? {
        manifests.push(journal.manifest(number).await);
    }
    for name in journal.savepoints().await? {
        manifests.push(journal.savepoint(&name).await);
    }
    let mut problems = Vec::new();
    for manifest in manifests {
        match manifest {
            Ok(Some(manifest)) => problems.extend(journal.verify(&manifest).await),
            Ok(None) => {}
            Err(error) => problems.push(error),
        }
    }
    Ok(problems.iter().map(wasmill_stream::Error::report).collect())
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    Flip,
    Cut,
    Grow,
    Empty,
    Remove,
}

impl Harm {
    const ALL: [Self; 5] = [Self::Flip, Self::Cut, Self::Grow, Self::Empty, Self::Remove];

    /// The file afterwards; `None`: it is gone.
    fn to(self, bytes: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
        let mut harmed = bytes.to_vec();
        match self {
            // The hexadecimal digits of a digest may be upper case, so one that becomes so is still right.
            Self::Flip => {
                while harmed.eq_ignore_ascii_case(bytes) {
                    harmed[chance.below(bytes.len())] ^= 1 << chance.below(8);
                }
            }
            Self::Cut => harmed.truncate(chance.below(bytes.len())),
            Self::Grow => harmed.extend_from_slice(&bytes[..1 + chance.below(bytes.len())]),
            Self::Empty => harmed.clear(),
            Self::Remove => return None,
        }
        Some(harmed)
    }
}

/// Manifests and states of all ages and a savepoint, each flipped, cut, grown, emptied or removed at random → what the next
/// run needs is refused as corrupt, with the file and the newest checkpoint that is whole, and nothing is written; what it
/// does not need is found by `wasmill checkpoint verify`. Whole again, the job ends with every row once.
#[test]
fn every_file() {
    let (cases, mut chance) = (count("WASMILL_DAMAGE", 200), Chance::announced());
    let stopped = Stopped::new();
    let newest = stopped.newest();
    let segments = newest.steps.values().flat_map(|step| &step.runs).flat_map(|run| &run.segments);
    let mut needed: BTreeSet<PathBuf> = segments.map(|segment| PathBuf::from(&segment.name)).collect();
    let manifest = PathBuf::from(format!("manifest/{:010}", newest.number));
    needed.insert(manifest.clone());
    // A mark of what was published says nothing but by its name: it is met when what it stands for is removed. The note of what
    // is committed is a help that a run can do without, and one that is damaged is none.
    let is_whole = |name: &&PathBuf| !name.starts_with("published") && **name != Path::new("settled");
    let files: Vec<&PathBuf> = stopped.whole.keys().filter(is_whole).collect();
    let outside = stopped.outside();
    let (mut refused, mut verified) = (0, 0);
    let pairs = (0..).map(|case: usize| (files[case % files.len()], Harm::ALL[case / files.len() % Harm::ALL.len()]));
    // A savepoint that is gone cannot be told from one that never was, and a component that the job file names is not missed.
    let is_missed = |name: &PathBuf| !name.starts_with("savepoint") && !name.starts_with("plugin");
    let can_tell = |(name, harm): &(&PathBuf, Harm)| *harm != Harm::Remove || is_missed(name);
    for (name, harm) in pairs.filter(can_tell).take(cases) {
        let mut harmed = stopped.whole.clone();
        match harm.to(&stopped.whole[name], &mut chance) {
            Some(bytes) => drop(harmed.insert(name.clone(), bytes)),
            None => drop(harmed.remove(name)),
        }
        write(&stopped.folder, &harmed);
        let path = name.display().to_string();
        if needed.contains(name) {
            let (kind, text) = stopped.refusal();
            assert_eq!(kind, ErrorKind::Corrupt, "{path} {harm:?}: {text}");
            assert!(text.contains(&path), "{path} {harm:?}: {text}");
            let advice = ["the newest whole checkpoint is number", "no older checkpoint is whole"];
            assert!(advice.iter().any(|advice| text.contains(advice)), "{path} {harm:?}: {text}");
            assert!(stopped.outside() == outside, "{path} {harm:?}: something was written");
            refused += 1;
        } else {
            let found = stopped.verify();
            assert!(found.iter().any(|found| found.contains(&path)), "{path} {harm:?}: {found:?}");
            verified += 1;
        }
    }
    write(&stopped.folder, &stopped.whole);
    stopped.pipeline.finish().well();
    stopped.pipeline.check();
    report(&format!("{refused} damages refused at start, {verified} found by verify, in {} files", files.len()));
}

/// The real program before a damaged manifest → exit code 1 and the same words; the whole checkpoint that it names can be
/// restored.
#[test]
fn the_program_says_so() {
    let stopped = Stopped::new();
    let newest = stopped.newest();
    let name = format!("manifest/{:010}", newest.number);
    let path = stopped.folder.join(&name);
    let mut bytes = fs::read(&path).expect("it is there");
    // The first digit of a year: the text is still a manifest, and only its digest tells.
    let time = b"\"at\":\"";
    let digit = bytes.windows(time.len()).position(|some| some == time).expect("a manifest has a time") + time.len();
    bytes[digit] ^= 1;
    fs::write(&path, bytes).expect("it can be written");
    let ended = stopped.pipeline.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    let words = unwrapped(&ended.log);
    let whole = newest.number - 1;
    for expected in [&name, "is damaged", &format!("the newest whole checkpoint is number {whole}")] {
        assert!(words.contains(expected), "{expected}: {}", ended.log);
    }
    let (code, stdout, stderr) = stopped.checkpoint("verify", &[]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains(&name), "{stdout}{stderr}");
    let (code, stdout, stderr) = stopped.checkpoint("restore", &[&whole.to_string(), "--force"]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    stopped.pipeline.finish().well();
}

/// The newest manifest is removed after its commit → the job does not go on from the one before, which would write rows a
/// second time; it names both, and goes on from where it was told to.
#[test]
fn the_newest_manifest_is_gone() {
    let stopped = Stopped::new();
    let newest = stopped.newest();
    let (name, whole) = (format!("manifest/{:010}", newest.number), newest.number - 1);
    fs::remove_file(stopped.folder.join(&name)).expect("it is there");
    let before = stopped.outside();
    let ended = stopped.pipeline.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    let words = unwrapped(&ended.log);
    let advice = format!("the newest whole checkpoint is number {whole}");
    for expected in [&name, "is missing", &advice, &format!("wasmill checkpoint restore JOB {whole}")] {
        assert!(words.contains(expected), "{expected}: {}", ended.log);
    }
    assert!(stopped.outside() == before, "something was written");
    let (code, stdout, stderr) = stopped.checkpoint("verify", &[]);
    assert!(code == Some(1) && stdout.contains(&name), "{stdout}{stderr}");
    let (code, stdout, stderr) = stopped.checkpoint("restore", &[&whole.to_string()]);
    assert!(code == Some(1) && stderr.contains("--force"), "{stdout}{stderr}");
    let (code, stdout, stderr) = stopped.checkpoint("restore", &[&whole.to_string(), "--force"]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert_eq!(stopped.newest().number, newest.number + 1, "the number of what is missing is not used again");
    // The job was stopped with it, so that nothing was read since.
    stopped.pipeline.finish().well();
    stopped.pipeline.check();
}

/// The files that sinks have written and not committed when a job is killed: each flipped, cut, emptied or removed → refused
/// with the name of the file, and none gets its name. Whole again, the job ends with every row once.
#[test]
fn every_part_of_a_sink() {
    let mut chance = Chance::announced();
    let killed = Stopped::killed();
    let newest = killed.newest();
    let (root, mut all) = (killed.pipeline.path(), read(killed.pipeline.path()));
    // As if it had died before it could note that the sinks have committed: from then on their files belong to readers.
    all.retain(|path, _| !path.ends_with("settled"));
    write(root, &all);
    let mut refused = 0;
    for part in parts(&newest) {
        let is_it = |path: &&PathBuf| part.names.iter().any(|name| path.file_name().is_some_and(|end| end == &**name));
        let path = all.keys().find(is_it).unwrap_or_else(|| panic!("{part:?} is not there"));
        for harm in [Harm::Flip, Harm::Flip, Harm::Cut, Harm::Empty, Harm::Remove] {
            let mut harmed = all.clone();
            match harm.to(&all[path][..part.bytes], &mut chance) {
                Some(bytes) => drop(harmed.insert(path.clone(), bytes)),
                None => drop(harmed.remove(path)),
            }
            write(root, &harmed);
            let (kind, text) = killed.refusal();
            let (expected, word) = match harm {
                Harm::Remove => (ErrorKind::Invalid, "is missing"),
                _ => (ErrorKind::Corrupt, "is damaged"),
            };
            assert_eq!(kind, expected, "{part:?} {harm:?}: {text}");
            assert!(text.contains(word) && text.contains(&part.names[1]), "{part:?} {harm:?}: {text}");
            let (before, now) = (harmed.keys().filter(is_it).count(), read(root));
            assert_eq!(now.keys().filter(is_it).count(), before, "{part:?} {harm:?}: it was renamed or written");
            assert_eq!(now.get(path), harmed.get(path), "{part:?} {harm:?}");
            refused += 1;
        }
    }
    assert!(refused >= 20, "{refused}");
    write(root, &all);
    killed.pipeline.finish().well();
    killed.pipeline.check();
    report(&format!("{refused} damages of {} files of sinks refused", refused / 5));
}
