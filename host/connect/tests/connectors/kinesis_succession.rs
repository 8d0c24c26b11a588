//! A stream that is deleted, and another one of its name: with `on_gap = "skip"` it is gone on with.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Fault, Record, State, arn, sequence};
use crate::harness::{Heard, Listener};
use crate::kinesis::{go_on, listen, of_a, shard, source, split};
use crate::kinesis_gaps::checkpoint_behind;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use wasmill_stream::SplitId;

const SKIP: &str = "on_gap = \"skip\"";

/// Asserts what is said of the only gap: behind so many records of a stream that was created at that time.
fn assert_lost(listener: &Listener, gaps: usize, shard: &str, after: u64, created: i64) {
    let note = listener.checkpoint().note;
    let gap = &note["gaps"][gaps - 1];
    assert!(note["gaps"][gaps].is_null(), "{note}");
    assert_eq!((gap["shard"].as_str(), gap["after"].as_str()), (Some(shard), Some(sequence(after).as_str())), "{gap}");
    assert_eq!((&gap["stream"]["arn"], &gap["stream"]["created"]), (&arn().into(), &created.into()), "{gap}");
    let time = |name: &str| gap[name].as_i64().unwrap_or_else(|| panic!("{name}: {gap}"));
    assert!(time("from_time") <= time("to_time") && time("to_time") <= time("noticed_at"), "{gap}");
    let told = listener.ledger.last_gaps().pop().expect("it is told");
    assert!(told.contains(&sequence(after)) && told.contains("the end of the stream created at 2023-11-14T"), "{told}");
}

/// A stream that was created again while the job was away, twice, and `on_gap = "skip"` → the new one is read from its start,
/// below splits of its own, and what is lost of the old one is noted; a stop in between changes nothing.
#[tokio::test]
async fn the_next_stream_is_read_after_a_stop() {
    let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("a", 5) })]);
    let mut checkpoint = checkpoint_behind(&fake, 5).await;
    for generation in 1..3 {
        let created = fake.state().created();
        let last = fake.state().shards["a"].records.last().expect("a record").number;
        fake.state().create_again([("a", shard("new", 3)), ("b", FakeShard::default())]);
        // A start that was not "latest" is not repeated on the new stream.
        let mut listener = go_on(source(&fake.url, SKIP), checkpoint);
        let (a, b) = (split(&format!("a@{generation}")), split(&format!("b@{generation}")));
        let is_read = |splits: &BTreeMap<SplitId, Heard>| {
            [&a, &b].iter().all(|id| splits.get(*id).is_some_and(|split| split.caught_up > 0))
        };
        listener.listen_until(is_read).await;
        assert_eq!(listener.records, ["new 0", "new 1", "new 2"]);
        assert_eq!(listener.splits.len(), 2, "{:?}", listener.splits.keys());
        // Of the shard without a record the second time, too.
        let gaps = if generation == 1 { 1 } else { 3 };
        let a_is_last = if generation == 1 { gaps } else { gaps - 1 };
        let note = listener.checkpoint().note;
        assert_eq!(note["gaps"].as_array().map(Vec::len), Some(gaps), "{note}");
        assert_eq!(note["gaps"][a_is_last - 1]["after"], sequence(last).as_str());
        if generation == 1 {
            assert_lost(&listener, 1, "a", last, created);
        }
        checkpoint = listener.checkpoint();
        listener.kill();
        fake.state().push("a", Record::of("later"));
        let mut listener = go_on(source(&fake.url, SKIP), checkpoint);
        listener.listen_until(is_read).await;
        assert_eq!(listener.records, ["later"]);
        checkpoint = listener.checkpoint();
        listener.kill();
    }
}

/// A stream that is deleted while it is read and created again a while later, and `on_gap = "skip"` → the source waits and says
/// why, in the status; then it reads the new stream from its start, whose splits are open before the old
/// ones are done, so that the watermark is held; a subscriber registers again.
#[tokio::test]
async fn the_next_stream_is_read_at_once() {
    for more in ["", "fan_out = \"reader\"\nfan_out_silence = \"500ms\"\nfan_out_retry = \"20ms\""] {
        let fake = FakeKinesis::start([("a", shard("a", 5)), ("b", FakeShard::default())]);
        let created = fake.state().created();
        let mut listener = listen(source(&fake.url, &format!("{SKIP}\n{more}")));
        listener.listen_until(|splits| splits.len() == 2 && splits.values().all(|s| s.caught_up > 0)).await;
        fake.state().delete();
        let waits = |listener: &Listener| {
            listener
                .hold_ups
                .look()
                .is_some_and(|why| why.contains("deleted: waiting for the one that takes its place"))
        };
        listener.listen_while(|listener| !waits(listener)).await;
        fake.state().create([("a", shard("new", 3)), ("c", shard("c", 2))].map(|(id, shard)| (id.to_owned(), shard)));
        let new = |splits: &BTreeMap<SplitId, Heard>| {
            let of_new = |id: &str| splits.get(&split(id)).is_some_and(|split| split.caught_up > 0);
            assert!(!of_a(splits, |a| a.done) || splits.contains_key(&split("c@1")), "new splits come first");
            of_new("a@1") && of_new("c@1") && splits[&split("a")].done && splits[&split("b")].done
        };
        listener.listen_until(new).await;
        assert_eq!(listener.splits[&split("a@1")].values(), ["new 0", "new 1", "new 2"]);
        assert_eq!(listener.splits[&split("c@1")].values(), ["c 0", "c 1"]);
        assert_eq!((listener.records.len(), listener.ledger.gaps.load(Relaxed)), (10, 2));
        let note = listener.checkpoint().note;
        let of_a = note["gaps"].as_array().expect("gaps").iter().find(|gap| gap["shard"] == "a").expect("one of a");
        assert_eq!((&of_a["after"], &of_a["stream"]["created"]), (&sequence(4).into(), &created.into()), "{of_a}");
        assert_eq!((listener.ledger.remarks(), listener.hold_ups.look()), (BTreeMap::new(), None));
        assert_eq!(fake.state().consumers.len(), usize::from(!more.is_empty()));
        let checkpoint = listener.checkpoint();
        listener.kill();
        {
            let mut state = fake.state();
            // Nobody is subscribed any more.
            state.pass(5_000);
            state.push("c", Record::of("later"));
        }
        let mut listener = go_on(source(&fake.url, &format!("{SKIP}\n{more}")), checkpoint);
        listener.listen_until(|splits| splits.len() == 2 && splits.values().all(|s| s.caught_up > 0)).await;
        assert_eq!((listener.records, listener.ledger.gaps.load(Relaxed)), (vec!["later".to_owned()], 0));
    }
}

/// A stream that is created again while a shard is read whose children wait for it → they go with it, each with a gap.
#[tokio::test]
async fn children_that_wait_go_with_their_stream() {
    let child = |name| FakeShard { parents: vec!["a".to_owned()], ..shard(name, 2) };
    let parent = FakeShard { closed: true, ..shard("a", 2) };
    let fake = FakeKinesis::start([("a", parent), ("b", child("b")), ("c", child("c"))]);
    fake.state().page = 1;
    fake.state().faults.insert("a".to_owned(), [vec![None], vec![Some(Fault::Empty); 100_000]].concat().into());
    let mut listener = listen(source(&fake.url, SKIP));
    listener.listen_until(|splits| of_a(splits, |a| a.records.len() == 1)).await;
    fake.state().faults.clear();
    fake.state().create_again([("a", shard("new", 1))]);
    let is_over = |splits: &BTreeMap<SplitId, Heard>| {
        splits.iter().all(|(id, heard)| heard.done || id.part() == "a@1" && heard.caught_up > 0)
    };
    listener.listen_until(|splits| splits.len() == 4 && is_over(splits)).await;
    assert_eq!((&*listener.records, listener.ledger.gaps.load(Relaxed)), (&["a 0", "new 0"].map(str::to_owned)[..], 3));
    listener.kill();
}

/// A stream that is created again when its only shard has ended and its children are not listed yet → the new stream is read, no
/// shard of it is taken for a child of the old one, and what the children had is a gap behind the shard.
#[tokio::test]
async fn children_that_nobody_has_seen() {
    let fake = FakeKinesis::start([("a", FakeShard { closed: true, ..shard("a", 2) })]);
    fake.state().names_children = false;
    let mut listener = listen(source(&fake.url, SKIP));
    // Once at the start, and once for the children.
    listener.listen_while(|_| fake.state().lists < 2).await;
    let created = fake.state().created();
    let child = FakeShard { parents: vec!["a".to_owned()], ..shard("child", 1) };
    fake.state().create_again([("a", FakeShard { closed: true, ..shard("new", 1) }), ("child", child)]);
    let child = split("child@1");
    listener.listen_until(|splits| splits.get(&child).is_some_and(|child| child.caught_up > 0)).await;
    assert_eq!(listener.records, ["a 0", "a 1", "new 0", "child 0"]);
    assert_eq!(listener.splits.keys().map(SplitId::part).collect::<Vec<_>>(), ["a", "a@1", "child@1"]);
    assert_lost(&listener, 1, "a", 1, created);
    listener.kill();
}

/// A stream that is created again before a shard of it has given anything, whose iterator expires → the new stream is not taken for
/// the old one.
#[tokio::test]
async fn a_horizon_is_that_of_one_stream() {
    let fake = FakeKinesis::start([("a", FakeShard::default())]);
    fake.state().faults.insert("a".to_owned(), [None, Some(Fault::Expired)].into());
    fake.state().on_expiry = Some(Box::new(|state: &mut State| state.create_again([("a", shard("new", 3))])));
    let mut listener = listen(source(&fake.url, SKIP));
    listener.listen_until(|splits| splits.get(&split("a@1")).is_some_and(|split| split.caught_up > 0)).await;
    assert_eq!((listener.records.len(), listener.splits[&split("a")].records.len()), (3, 0));
    // And once more, in the same run.
    fake.state().create_again([("a", shard("newer", 2))]);
    listener.listen_until(|splits| splits.get(&split("a@2")).is_some_and(|split| split.caught_up > 0)).await;
    assert_eq!((listener.records.len(), listener.ledger.gaps.load(Relaxed)), (5, 2));
    listener.kill();
}
