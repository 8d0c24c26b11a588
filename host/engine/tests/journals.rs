//! The journal by itself: who may publish, what pruning leaves, what is done about damage.

use crate::vault::Memory;
use bytes::Bytes;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmill_engine::{Fence, Journal, Pruned};
use wasmill_stream::ErrorKind;
use wasmill_stream::checkpoint::{
    Created, Digest, Kind, Manifest, RewindPoint, Run, Segment, SinkMark, StepMark, Store,
};

/// A writer, and the newest number it has published.
fn fence(run: u64, number: u64) -> Fence {
    Fence { run, writer: format!("writer {run}"), number }
}

/// The next manifest of a writer; its state is the object that it wrote for it.
fn manifest(fence: &Fence, number: u64) -> Manifest {
    let segment = Segment { name: state(fence.run, number), bytes: 1, entries: 1, digest: Digest::of(b"x") };
    let runs = vec![Run { segments: vec![segment] }];
    let step = StepMark { shape: "none".into(), state_version: 1, paired: false, watermark: None, runs };
    Manifest {
        number,
        run: fence.run,
        kind: Kind::Periodic,
        at: "2026-11-21T10:00:00Z".into(),
        wasmill: "0.1.0".into(),
        writer: fence.writer.clone(),
        job: "test".into(),
        definition: String::new(),
        key_groups: 1_024,
        workers: 1,
        sources: BTreeMap::new(),
        steps: BTreeMap::from([("step".into(), step)]),
        plugins: BTreeMap::new(),
        sinks: BTreeMap::new(),
        points: Vec::new(),
        withdrawal: None,
    }
}

fn state(run: u64, number: u64) -> String {
    format!("state/{run:010}-{number:010}-0000")
}

fn name(number: u64) -> String {
    format!("manifest/{number:010}")
}

/// Publishes these numbers with their states.
async fn publish(store: &Arc<Memory>, fence: &Fence, numbers: std::ops::RangeInclusive<u64>) {
    let journal = Journal::new(store.clone());
    for number in numbers {
        store.put(&state(fence.run, number), Bytes::from_static(b"x")).await.expect("there is room");
        journal.publish(&manifest(fence, number)).await.expect("nobody else publishes");
    }
}

/// A run is frozen; another takes over and prunes until the frozen one's next number is free again → neither it nor one that
/// was about to begin there gets the number; both are told, and what they had created is gone.
#[tokio::test]
async fn a_number_that_was_pruned_stays_taken() {
    for retain in [1, 3] {
        let store = Arc::new(Memory::default());
        let journal = Journal::new(store.clone());
        let (frozen, second, third) = (fence(1, 5), fence(2, 6), fence(3, 6));
        publish(&store, &frozen, 4..=5).await;
        publish(&store, &second, 6..=9).await;
        journal.prune(retain).await.expect("all is whole");
        assert!(!journal.numbers().await.expect("a list").contains(&6), "its number is free");

        let error = journal.check(&frozen).await.expect_err("another run has begun");
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        let error = journal.publish(&manifest(&frozen, 6)).await.expect_err("another run has begun");
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.to_string().contains("run 2 since 2026"), "{error}");
        assert_eq!(journal.begin(&manifest(&third, 6)).await.expect("an answer"), Created::Taken);
        assert!(!store.objects().contains_key(&name(6)), "what does not count is gone");

        assert_eq!(journal.newest().await.expect("whole").expect("there is one").run, 2);
        journal.check(&fence(2, 8)).await.expect("it has published 9 itself");
        journal.publish(&manifest(&second, 10)).await.expect("it is the job's run");
    }
}

/// Pruned while a run has written states for a manifest that it has not published yet → those stay; what is older and not
/// named goes, whichever run has written it.
#[tokio::test]
async fn pruning_leaves_what_is_being_written() {
    let store = Arc::new(Memory::default());
    let journal = Journal::new(store.clone());
    publish(&store, &fence(1, 3), 3..=4).await;
    publish(&store, &fence(2, 5), 5..=6).await;
    let (late, in_flight) = (state(1, 5), state(2, 7));
    for name in [&late, &in_flight] {
        store.put(name, Bytes::from_static(b"x")).await.expect("there is room");
    }
    let pruned = journal.prune(1).await.expect("all is whole");
    assert_eq!(pruned, Pruned { manifests: 3, states: 4 });
    let left: Vec<String> = store.objects().keys().cloned().collect();
    let mark = name(6).replace("manifest", "published");
    assert_eq!(left, [name(6), mark, state(2, 6), in_flight]);
}

/// A savepoint that cannot be read → nobody knows which states it names, so all stay, and it is named; old manifests go all
/// the same.
#[tokio::test]
async fn pruning_past_a_damaged_savepoint() {
    let store = Arc::new(Memory::default());
    let journal = Journal::new(store.clone());
    publish(&store, &fence(1, 1), 1..=4).await;
    journal.keep("kept", &manifest(&fence(1, 1), 1)).await.expect("the name is free");
    store.put("savepoint/kept", Bytes::from_static(b"torn")).await.expect("there is room");
    let error = journal.prune(2).await.expect_err("it cannot be read");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("savepoint/kept"), "{error}");
    assert_eq!(journal.numbers().await.expect("a list"), [3, 4]);
    assert_eq!(store.list("state/").await.expect("a list").len(), 4);
}

/// A manifest copied to a later number → it is damaged, as it says another number, and an older one is recommended.
#[tokio::test]
async fn a_copied_manifest_is_damaged() {
    let store = Arc::new(Memory::default());
    let journal = Journal::new(store.clone());
    publish(&store, &fence(1, 1), 1..=2).await;
    let copy = store.get(&name(2)).await.expect("an answer").expect("it is there");
    store.put(&name(9), copy).await.expect("there is room");
    let error = journal.newest().await.expect_err("it is a copy");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    for words in ["manifest/0000000009", "says that it is number 2", "restore JOB 2"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// A savepoint's name of digits alone → refused, as it would be taken for a number.
#[tokio::test]
async fn savepoints_have_no_numbers_for_names() {
    let journal = Journal::new(Arc::new(Memory::default()));
    let manifest = manifest(&fence(1, 1), 1);
    for name in ["42", "0", "007"] {
        let error = journal.keep(name, &manifest).await.expect_err("it is a number");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("digits alone"), "{error}");
    }
    journal.keep("2026-11-21", &manifest).await.expect("it is no number");
}

/// Publishes a checkpoint to which the job can be rewound, and one after it of this kind, in a run of its own. Both name what a
/// sink has prepared. Returns the first.
async fn point_and(journal: &Journal, kind: Kind, committed: bool) -> Manifest {
    let mark = |committed| SinkMark { prepared: json!({"parts": 1}), committed, undo: None };
    let points = vec![RewindPoint { number: 1, at: 0 }];
    let sinks = |committed| BTreeMap::from([("out".to_owned(), mark(committed))]);
    let first = Manifest { points: points.clone(), sinks: sinks(false), ..manifest(&fence(1, 0), 1) };
    journal.publish(&first).await.expect("nobody is in the way");
    let second = Manifest { points, sinks: sinks(committed), kind, ..manifest(&fence(2, 1), 2) };
    assert_eq!(journal.begin(&second).await.expect("an answer"), Created::New);
    first
}

/// Back to a checkpoint with another one after it → its sinks have committed; with one after it that only repeats it → they have
/// if that says so, or else they still have to.
#[tokio::test]
async fn what_was_committed_when_it_goes_back() {
    let cases = [
        (Kind::Periodic, false, true),
        (Kind::Stop, false, true),
        (Kind::Begin, false, false),
        (Kind::Begin, true, true),
        (Kind::Restore, false, false),
    ];
    for (kind, said, expected) in cases {
        let journal = Journal::new(Arc::new(Memory::default()));
        let point = point_and(&journal, kind, said).await;
        let withdrawn = journal.withdrawn(&point).await.expect("whole").expect("it is a point");
        assert_eq!((withdrawn.after, withdrawn.until), (1, 2));
        let fence = journal.fence().await.expect("a fence");
        journal.go_back(&point, fence, Some(withdrawn)).await.expect("it goes back");
        let newest = journal.newest().await.expect("whole").expect("there is one");
        assert_eq!((newest.number, newest.kind), (3, Kind::Restore));
        assert_eq!(newest.sinks["out"].committed, expected, "{kind:?}, which says {said}");
    }
}

/// Told to go back twice before the job runs again → sinks still take back what they wrote.
#[tokio::test]
async fn told_twice_to_go_back() {
    let journal = Journal::new(Arc::new(Memory::default()));
    let point = point_and(&journal, Kind::Periodic, false).await;
    for until in [2, 3] {
        let withdrawn = journal.withdrawn(&point).await.expect("whole").expect("it can be rewound");
        assert_eq!((withdrawn.after, withdrawn.until), (1, until));
        let fence = journal.fence().await.expect("a fence");
        journal.go_back(&point, fence, Some(withdrawn)).await.expect("it goes back");
    }
    let newest = journal.newest().await.expect("whole").expect("there is one");
    assert_eq!(newest.withdrawal.map(|withdrawal| withdrawal.after), Some(1));
}
