use super::*;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use wasmill_stream::dead_letter::{DeadLetter, Payload};
use wasmill_stream::plugin::Identity;

/// A letter of step `parse`.
fn letter(cause: &str, reason: &str, at: &str) -> DeadLetter {
    DeadLetter {
        at: at.into(),
        cause: cause.into(),
        reason: reason.into(),
        step: "parse".into(),
        ..DeadLetter::default()
    }
}

/// One about a record.
fn of_record(split: &str, position: &str, record: &[u8]) -> DeadLetter {
    DeadLetter {
        split: Some(split.into()),
        position: Some(position.into()),
        record: Some(Payload::new(record)),
        ..letter("rejected", "no fare", "2024-05-01T10:00:00.000Z")
    }
}

fn on_line(line: usize, letter: DeadLetter) -> Letter {
    Letter { file: Path::new("letters.jsonl").into(), line, letter }
}

/// A folder of plain and compressed files → every letter in the order of names and lines; files that a job still
/// writes, and others, are left alone.
#[test]
fn folders_are_read_in_order() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &[u8]| {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    let line = |reason: &str| {
        let mut line = serde_json::to_vec(&letter("late", reason, "")).expect("JSON");
        line.push(b'\n');
        line
    };
    // Two members, as a job leaves them that has flushed in between.
    let mut packed = Vec::new();
    for reason in ["c", "d"] {
        let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
        encoder.write_all(&line(reason)).expect("room");
        encoder.finish().expect("room");
    }
    write("part-000002.jsonl.gz", &packed);
    write("part-000001.jsonl", &[line("a"), b"\n".to_vec(), line("b")].concat());
    write("part-000003.jsonl.part", &line("unfinished"));
    write("sub/part-000001.jsonl", &line("e"));
    write("notes.txt", b"none");
    let mut seen = Vec::new();
    let found = files(&[home.path().to_owned()]).expect("files");
    for_each(&found, |letter| {
        seen.push((letter.letter.reason, letter.line));
        Ok(())
    })
    .expect("letters");
    assert_eq!(
        seen,
        [("a", 1), ("b", 3), ("c", 1), ("d", 2), ("e", 1)].map(|(reason, line)| (reason.to_owned(), line))
    );
}

/// A line that is no letter, a file that is not there, a folder without any → errors that name them.
#[test]
fn other_files_are_refused() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let path = home.path().join("rows.jsonl");
    let read = |text: &str| {
        std::fs::write(&path, text).expect("a file");
        for_each(std::slice::from_ref(&path), |_| Ok(())).map_err(|error| error.report())
    };
    let row = read("{\"fare\": 7}\n").expect_err("a row");
    assert!(row.ends_with("rows.jsonl:1: not a dead letter: it has no `cause` and no `step`"), "{row}");
    let torn = read("\n{\"cause\": \"la").expect_err("a torn line");
    assert!(torn.contains("rows.jsonl:2: not a dead letter: EOF"), "{torn}");
    let empty = home.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    assert!(files(&[empty]).expect_err("no files").report().contains("no .jsonl or .jsonl.gz files"));
    assert!(
        for_each(&[home.path().join("gone.jsonl")], |_| Ok(())).expect_err("no file").report().contains("gone.jsonl")
    );
}

/// Cause, step and time each narrow down; a duration counts back from now.
#[test]
fn filters() {
    let one = letter("late", "", "2024-05-01T10:00:00.000Z");
    let takes = |cause: Option<&str>, step: Option<&str>, since: Option<&str>| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let since = since.map(|since| since.parse().expect(since));
        Filter { cause: own(cause), step: own(step), since }.takes(&one)
    };
    assert!(takes(None, None, None) && takes(Some("late"), Some("parse"), Some("2024-05-01T10:00:00Z")));
    assert!(!takes(Some("trap"), None, None) && !takes(None, Some("other"), None));
    assert!(!takes(None, None, Some("2024-05-01T10:00:00.001Z")) && !takes(None, None, Some("2h")));
    assert!("yesterday".parse::<Since>().expect_err("no time").contains("such as 2h; found yesterday"));
}

/// Letters of one cause, step and reason are a line with their number and times; the largest group comes first, small
/// ones are summed up beyond the limit.
#[test]
fn digest_counts_groups() {
    let mut digest = Digest::default();
    let times = ["2024-05-01T10:00:02.000Z", "2024-05-01T10:00:01.000Z", "2024-05-01T10:00:03.000Z"];
    times.iter().for_each(|at| digest.add(&letter("rejected", "no\nfare", at)));
    digest.add(&letter("late", "late", times[0]));
    digest.add(&of_record("trips/0", "7", b"{}"));
    let expected = "  letters  cause     step   first                     last                      reason
        3  rejected  parse  2024-05-01T10:00:01.000Z  2024-05-01T10:00:03.000Z  no fare
        2  in 2 smaller groups
        5  letters in all; 1 can be replayed
";
    assert_eq!(digest.table(1).to_string(), expected);
}

/// A letter with everything → every member has its line, bytes that are no text are dumped, and nothing reaches the
/// terminal that it would obey.
#[test]
fn leaf_shows_everything() {
    let plugin = Identity { name: "p".into(), version: "1".into(), digest: "ab".into() };
    let whole = DeadLetter {
        plugin: Some(plugin),
        key: Some(Payload::new(b"k\x1b[2J")),
        value: Some(Payload::new(b"\xff\x00abcdefghijklmnop")),
        window_start: Some("a".into()),
        window_end: Some("b".into()),
        reason: "two\nlines".into(),
        ..of_record("trips/0", "7", b"{\"fare\": -1}")
    };
    let expected = "--- letters.jsonl:3
cause       rejected
reason      two
            lines
step        parse
plugin      p 1, sha256 ab
died at     2024-05-01T10:00:00.000Z
read from   trips/0, record 7
window      a to before b
key         k [2J
record      {\"fare\": -1}
value       18 bytes
  00000000  ff 00 61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e  ..abcdefghijklmn
  00000010  6f 70                                            op
";
    assert_eq!(Leaf(&on_line(3, whole)).to_string(), expected);
}

/// Records go in once however many letters are about them; letters without one are counted with the reason.
#[test]
fn replay_takes_records_once() {
    let mut replay = Replay::default();
    let letters = [
        of_record("trips/0", "7", b"a"),
        of_record("trips/0", "7", b"a"),
        of_record("trips/1", "49590338271490256608559692538361571095921575989136588898", b"\xff"),
        of_record("trips/0", "seven", b"b"),
        letter("trap", "window", ""),
        DeadLetter { record: None, ..of_record("trips/0", "8", b"") },
        DeadLetter { record: Some(Payload::Binary { base64: "?".into() }), ..of_record("trips/0", "9", b"") },
    ];
    letters.into_iter().enumerate().for_each(|(line, letter)| replay.add(on_line(line, letter)));
    assert_eq!((replay.records(), replay.repeated()), (2, 1));
    let left_out: Vec<_> = replay.left_out().collect();
    assert_eq!(left_out.len(), 4, "{left_out:?}");
    assert!(left_out.iter().all(|(letters, _)| *letters == 1));
    assert!(left_out.iter().any(|(_, why)| why.contains("behind an aggregation")));
}

mod job {
    //! Replays through the engine, with native steps.

    use super::*;
    use async_trait::async_trait;
    use std::sync::Mutex;
    use wasmill_engine::{DeadLetters, Graph, Input, Node, NodeKind, Options, Port, SinkTerms, Tolerance};
    use wasmill_stream::ledger::StepLedger;
    use wasmill_stream::plugin::{Aggregate, AggregatePlugin, Needs, Plugin};
    use wasmill_stream::sink::{Opening, Sink, SinkWriter};
    use wasmill_stream::source::{Intake, Source};
    use wasmill_stream::units::Period;
    use wasmill_stream::watermark::{EventTime, WatermarkSpec};
    use wasmill_stream::window::WindowSpec;
    use wasmill_stream::{Batch, Error, Guarantee, GuestLedger, Result};

    /// The source that the job file names: it must not be read.
    struct Untouched;

    #[async_trait]
    impl Source for Untouched {
        async fn run(self: Box<Self>, _intake: Intake) -> Result<()> {
            panic!("the source of the job was opened");
        }
    }

    /// Keeps the ids of rows; refuses those whose value is `bad`.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    struct Keeper(Kept, Arc<StepLedger>);

    #[async_trait]
    impl Sink for Kept {
        fn guarantee(&self) -> Guarantee {
            Guarantee::EffectivelyOnce
        }

        async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
            Ok(Box::new(Keeper(*self, opening.ledger)))
        }
    }

    #[async_trait]
    impl SinkWriter for Keeper {
        async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
            for (row, id) in batch.row_ids().into_iter().enumerate() {
                if batch.values.get(row) == b"bad" {
                    self.1.refuse(&batch, row, "bad");
                } else {
                    StepLedger::add(&self.1.emitted, 1);
                    self.0.0.lock().expect("no panic").push(id);
                }
            }
            Ok(())
        }

        async fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn node(name: &str, inputs: &[usize], kind: NodeKind) -> Node {
        let inputs = inputs.iter().map(|&node| Input { node, port: Port::Main }).collect();
        Node { name: name.into(), inputs, kind, tolerance: Tolerance::default() }
    }

    fn source() -> NodeKind {
        let (time, watermark) = (EventTime::Arrival, WatermarkSpec::default());
        NodeKind::Source { source: Box::new(Untouched), decoder: None, time, watermark }
    }

    fn sink(sink: impl Sink + 'static) -> NodeKind {
        NodeKind::Sink { sink: Box::new(sink), terms: SinkTerms::default() }
    }

    /// Records of two splits, and user records of one Kinesis record, one of which dies again → the others reach the sink with
    /// the ids of their first life, and the witness has seen the one; letters of another source stay out.
    #[test]
    fn records_go_back_to_their_place() {
        let mut replay = Replay::default();
        let letters = [
            of_record("trips/1", "30", b"z"),
            of_record("trips/0", "7", b"x"),
            of_record("trips/0", "5:10", b"v"),
            of_record("trips/0", "5:9", b"w"),
            of_record("trips/0", "5:2", b"bad"),
            of_record("orders/0", "5", b"y"),
        ];
        letters.into_iter().for_each(|letter| replay.add(on_line(1, letter)));
        let (kept, witness) = (Kept::default(), Witness::default());
        let nodes = vec![node("trips", &[], source()), node("out", &[0], sink(kept.clone()))];
        let letters = witness.watch(Box::new(Kept::default()));
        let mut graph = Graph {
            nodes,
            dead_letters: Some(DeadLetters { sink: letters, terms: SinkTerms::default(), late: false }),
            successors: Vec::new(),
        };
        replay.feed(&mut graph);
        assert_eq!(replay.records(), 5);
        let left_out: Vec<_> = replay.left_out().collect();
        assert_eq!(left_out, [(1, "of source `orders`, which the job does not have")]);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime
            .block_on(async { wasmill_engine::start(graph, Options::default()).await?.wait().await })
            .expect("a job that ends");
        let mut ids = kept.0.lock().expect("no panic").clone();
        // The splits come in any order.
        ids.sort_by_key(|id| id.starts_with("trips|trips/1"));
        assert_eq!(ids, ["trips|trips/0|5:9", "trips|trips/0|5:10", "trips|trips/0|7", "trips|trips/1|30"]);
        assert_eq!((replay.sent(), witness.records(), witness.others()), (5, 1, 0));
    }

    struct Plain;

    #[async_trait]
    impl Sink for Plain {
        fn guarantee(&self) -> Guarantee {
            Guarantee::AtLeastOnce
        }

        async fn open(self: Box<Self>, _opening: Opening) -> Result<Box<dyn SinkWriter>> {
            Err(Error::invalid("never opened"))
        }
    }

    /// Windowed logic that is never called.
    struct Windowed(Identity, Needs, Arc<GuestLedger>);

    impl Plugin for Windowed {
        fn identity(&self) -> &Identity {
            &self.0
        }

        fn needs(&self) -> &Needs {
            &self.1
        }

        fn ledger(&self) -> &Arc<GuestLedger> {
            &self.2
        }
    }

    impl AggregatePlugin for Windowed {
        fn instantiate(&self) -> Result<Box<dyn Aggregate>> {
            Err(Error::invalid("never called"))
        }
    }

    /// Sinks with ids overwrite only what windows have told; sinks without ids have two of a row only if it came to
    /// them by a way around the place where the record died.
    #[test]
    fn concerns() {
        let plugin = Arc::new(Windowed(Identity::default(), Needs::default(), Arc::default()));
        let windows = WindowSpec::Session { gap: Period::from_millis(1) };
        let stats = NodeKind::Aggregate { plugin, windows, allowed_lateness: Period::default() };
        let nodes = vec![
            node("trips", &[], source()),
            node("stats", &[0], stats),
            node("raw", &[0], sink(Plain)),
            node("rows", &[0], sink(Kept::default())),
            node("totals", &[1], sink(Kept::default())),
            node("lines", &[1], sink(Plain)),
        ];
        let graph = Graph { nodes, dead_letters: None, successors: Vec::new() };
        let concerns = |step: &str| {
            let mut replay = Replay::default();
            replay.add(on_line(1, DeadLetter { step: step.into(), ..of_record("trips/0", "1", b"") }));
            let Concerns { windows, states, overwritten, doubled } = replay.concerns(&graph);
            assert_eq!(
                (windows, states, overwritten),
                (vec!["stats".to_owned()], Vec::new(), vec!["totals".to_owned()])
            );
            doubled
        };
        assert!(concerns("trips").is_empty());
        assert_eq!(concerns("stats"), ["raw"]);
        assert_eq!(concerns("raw"), ["lines"]);
    }
}
