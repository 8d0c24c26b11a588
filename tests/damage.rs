//! Checkpoints that were changed, cut or removed: found before anything is written, and named.

use crate::harness::chance::{Chance, count};
use crate::harness::job::{Failure, Job};
use crate::harness::manifests::Manifests;
use crate::harness::program::{output, wasmill};
use crate::harness::report;
use crate::harness::search::Search;
use crate::pipeline::{self, Input, Outlet, Pipeline, Turn};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmill_connect::checkpoint_store::StorePlace;
use wasmill_engine::Journal;
use wasmill_stream::ErrorKind;
use wasmill_stream::checkpoint::{Kind, Manifest};

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

impl Stopped {
    /// Stopped in the middle, with some checkpoints and a savepoint.
    fn new() -> Self {
        let search = Arc::new(Search::start());
        let index = Outlet::Index { search: search.clone(), url: search.url.clone() };
        let input = Input::new(4_000);
        let pipeline = Pipeline::new(input, vec![Outlet::Folder, Outlet::File, index]).every("50ms");
        let mut host = pipeline.start(Turn { workers: 2, rate: Some(2_000) });
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
    // The note of what is committed is a help that a run can do without, and one that is damaged is none.
    let files: Vec<&PathBuf> = stopped.whole.keys().filter(|name| *name != Path::new("settled")).collect();
    let outside = stopped.outside();
    let (mut refused, mut verified) = (0, 0);
    // A manifest or savepoint that is gone cannot be told from one that never was: see below.
    let pairs = (0..).map(|case: usize| (files[case % files.len()], Harm::ALL[case / files.len() % Harm::ALL.len()]));
    let can_tell = |(name, harm): &(&PathBuf, Harm)| *harm != Harm::Remove || name.starts_with("state");
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
    bytes[100] ^= 1;
    fs::write(&path, bytes).expect("it can be written");
    let ended = stopped.pipeline.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    let words = ended.log.split_whitespace().collect::<Vec<_>>().join(" ");
    let whole = newest.number - 1;
    for expected in [&name, "is damaged", &format!("the newest whole checkpoint is number {whole}")] {
        assert!(words.contains(expected), "{expected}: {}", ended.log);
    }
    let job = stopped.pipeline.write_job(None);
    let checkpoint = |command: &str, arguments: &[&str]| {
        let mut program = wasmill(stopped.pipeline.path());
        output(program.args(["checkpoint", command]).arg(&job).args(arguments))
    };
    let (code, stdout, stderr) = checkpoint("verify", &[]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains(&name), "{stdout}{stderr}");
    let (code, stdout, stderr) = checkpoint("restore", &[&whole.to_string(), "--force"]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    stopped.pipeline.finish().well();
}

/// The newest manifest is gone, of a run that had just begun: as if it had crashed before it began → every row once.
#[test]
fn a_begin_that_is_gone() {
    let stopped = Stopped::new();
    // Where the index of a sink should be, nobody answers in the way of an index: the run ends before it reads anything.
    let job = fs::read_to_string(stopped.pipeline.write_job(None)).expect("it was written");
    let broken = job
        .replace(&stopped.search.url, "http://127.0.0.1:1")
        .replace("batch_rows", "start_timeout = \"1ms\"\nbatch_rows");
    let Err(Failure::Error(_)) = Job::new(broken).workers(2).try_run() else { panic!("nobody listens there") };
    let begun = stopped.newest();
    assert_eq!(begun.kind, Kind::Begin);
    fs::remove_file(stopped.folder.join(format!("manifest/{:010}", begun.number))).expect("it is there");
    stopped.pipeline.finish().well();
    stopped.pipeline.check();
}
