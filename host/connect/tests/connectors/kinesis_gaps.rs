//! Records, shards and streams that have gone before they were read: never in silence.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Fault, RETENTION_HOURS, Record, State, arn, sequence};
use crate::harness::{Heard, Listener};
use crate::kinesis::{assert_names, go_on, listen, of_a, shard, source, split};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use wasmill_stream::source::Resume;
use wasmill_stream::{ErrorKind, SplitId};

/// The checkpoint of a source that has read all of shard `a`.
async fn checkpoint_behind(fake: &FakeKinesis, records: usize) -> Resume {
    let mut listener = listen(source(&fake.url, ""));
    listener.listen_until(|splits| of_a(splits, |a| a.records.len() == records && a.caught_up > 0)).await;
    let checkpoint = listener.checkpoint();
    listener.kill();
    checkpoint
}

/// The same, as if that had been longer ago than the stream keeps records.
fn aged(mut checkpoint: Resume) -> Resume {
    let at = &mut checkpoint.note["silent"]["a"]["at"];
    *at = (at.as_i64().expect("the shard was silent") - RETENTION_HOURS * 3_600_000).into();
    checkpoint
}

/// The stream has dropped records behind the position of a stopped job → the job fails and names shard, position, what is
/// left and the retention, or goes on with what is left and leaves a note, whatever the server makes of such a position.
#[tokio::test]
async fn lost_records_are_never_silent() {
    for refuses_trimmed in [true, false] {
        let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("a", 5) })]);
        let checkpoint = aged(checkpoint_behind(&fake, 5).await);
        {
            let mut state = fake.state();
            state.refuses_trimmed = refuses_trimmed;
            (5..9).for_each(|number| state.put(0, format!("a {number}")));
            state.shards.get_mut("a").expect("there").trimmed = 7;
        }
        let error = go_on(source(&fake.url, ""), checkpoint.clone()).finish().await.expect_err("a gap");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_names(&error, &["stream trips", ": a: ", &sequence(4), "24 h", "on_gap = \"skip\""]);

        let mut listener = go_on(source(&fake.url, "on_gap = \"skip\""), checkpoint);
        listener.listen_until(|splits| of_a(splits, |a| a.records.len() == 2)).await;
        assert_eq!(listener.records, ["a 7", "a 8"]);
        let note = listener.checkpoint().note;
        let gap = &note["gaps"][0];
        let time = |name: &str| gap[name].as_i64().expect("a time");
        assert!(time("from_time") <= time("to_time") && time("to_time") <= time("noticed_at"), "{gap}");
        assert_eq!((listener.ledger.gaps.load(Relaxed), listener.ledger.last_gaps().len()), (1, 1));
        assert!(listener.ledger.last_gaps()[0].contains(", which arrived from "), "{:?}", listener.ledger.last_gaps());
        assert_eq!((gap["shard"].as_str(), gap["after"].as_str()), (Some("a"), Some(sequence(4).as_str())));
    }
}

/// A shard without records for longer than the stream keeps them, read by a job that was there all the time → nothing is
/// lost and nothing is said to be, though the record at its position is gone; then a job that was away is told.
#[tokio::test]
async fn a_silent_shard_is_no_gap() {
    let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("a", 5) })]);
    let checkpoint = checkpoint_behind(&fake, 5).await;
    fake.state().shards.get_mut("a").expect("there").trimmed = 5;
    let mut listener = go_on(source(&fake.url, ""), checkpoint.clone());
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
    fake.state().put(0, "a 5".to_owned());
    listener.listen_until(|splits| of_a(splits, |a| !a.records.is_empty())).await;
    assert_eq!(listener.records, ["a 5"]);

    let error = go_on(source(&fake.url, ""), aged(checkpoint)).finish().await.expect_err("maybe a gap");
    assert_names(&error, &[&sequence(4), "may be lost"]);
}

/// A shard that ended and was dropped by the stream before a stopped job had read it → a gap; skipped, it is done.
#[tokio::test]
async fn a_shard_that_is_gone() {
    let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("a", 5) })]);
    let checkpoint = aged(checkpoint_behind(&fake, 5).await);
    {
        let mut state = fake.state();
        state.split("a");
        state.put(0, "child".to_owned());
        state.shards.remove("a");
    }
    let error = go_on(source(&fake.url, ""), checkpoint.clone()).finish().await.expect_err("a gap");
    assert_names(&error, &["stream trips", ": a: ", &sequence(4), "24 h"]);
    let mut listener = go_on(source(&fake.url, "on_gap = \"skip\""), checkpoint);
    listener.listen_until(|splits| splits.len() == 3 && splits.values().any(|split| !split.records.is_empty())).await;
    assert_eq!(listener.records, ["child"]);
    assert!(listener.checkpoint().splits["a"].done);
}

/// A shard that the stream forgets while it is behind its end, with records that were not read → a gap that names it; skipped,
/// the shard is done and its children are read.
#[tokio::test]
async fn a_shard_that_vanishes_while_it_is_read() {
    for on_gap in ["fail", "skip"] {
        let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("a", 5) })]);
        fake.state().page = 2;
        fake.state().faults.insert("a".to_owned(), [vec![None], vec![Some(Fault::Broken); 100_000]].concat().into());
        let mut listener = listen(source(&fake.url, &format!("on_gap = \"{on_gap}\"")));
        listener.listen_until(|splits| of_a(splits, |a| a.records.len() == 2)).await;
        {
            let mut state = fake.state();
            state.split("a");
            state.put(0, "child".to_owned());
            state.shards.remove("a");
        }
        if on_gap == "fail" {
            let error = listener.finish().await.expect_err("a gap");
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert_names(&error, &["stream trips", ": a: ", &sequence(1), "may be lost", "on_gap = \"skip\""]);
            continue;
        }
        listener.listen_until(|splits| splits.len() == 3 && splits.values().all(|s| s.done || s.caught_up > 0)).await;
        assert!(listener.splits[&split("a")].done);
        assert_eq!(listener.records, ["a 0", "a 1", "child"]);
        let gaps = &listener.checkpoint().note["gaps"];
        assert_eq!((gaps[0]["shard"].as_str(), gaps[0]["after"].as_str()), (Some("a"), Some(sequence(1).as_str())));
        assert!(gaps[1].is_null(), "{gaps}");
    }
}

/// A shard of which nothing was read yet, and that the stream forgets within its retention → nothing can be lost with it, and
/// its children are read.
#[tokio::test]
async fn an_empty_shard_that_vanishes() {
    let fake = FakeKinesis::start([("a", shard("old", 5))]);
    fake.state().faults.insert("a".to_owned(), [Some(Fault::Expired)].into());
    fake.state().on_expiry = Some(Box::new(|state: &mut State| {
        state.split("a");
        state.shards.remove("a");
        state.put(0, "b 0");
        state.put(u64::from(u32::MAX), "b 1");
    }));
    let mut listener = listen(source(&fake.url, "start = \"latest\""));
    listener.listen_until(|splits| splits.values().filter(|split| split.caught_up > 0).count() == 2).await;
    listener.records.sort();
    assert_eq!(listener.records, ["b 0", "b 1"]);
    assert!(listener.checkpoint().note["gaps"].is_null());
}

/// A stream that is deleted while it is read → the job stops and says so.
#[tokio::test]
async fn a_stream_that_is_deleted() {
    let fake = FakeKinesis::start([("a", shard("a", 5))]);
    let mut listener = listen(source(&fake.url, ""));
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
    fake.state().delete();
    let error = listener.finish().await.expect_err("there is no stream");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_names(&error, &["stream trips", &fake.url, "was deleted while it was read", "on_gap = \"skip\""]);
}

/// A job that stops when a shard has ended and before its child has begun, longer or less long after the last record of the
/// shard than the stream keeps records → a gap at the start of the child, or none.
#[tokio::test]
async fn a_child_that_was_never_read() {
    for (hours, is_gap) in [(20, false), (25, true)] {
        let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("a", 5) })]);
        let child = "shardId-000000000000";
        {
            let mut state = fake.state();
            state.age(hours);
            state.split("a");
            state.faults.insert(child.to_owned(), vec![Some(Fault::Broken); 100_000].into());
        }
        let mut listener = listen(source(&fake.url, ""));
        listener.listen_until(|splits| of_a(splits, |a| a.done)).await;
        let checkpoint = listener.checkpoint();
        listener.kill();
        fake.state().faults.clear();
        let mut listener = go_on(source(&fake.url, ""), checkpoint);
        if is_gap {
            let error = listener.finish().await.expect_err("a gap");
            assert_names(&error, &["stream trips", &format!(": {child}: "), "the start", "24 h"]);
        } else {
            listener.listen_until(|splits| splits.get(&split(child)).is_some_and(|child| child.caught_up > 0)).await;
        }
    }
}

/// A stream that was deleted and created again under its name, while the job was away or while it reads → the job stops,
/// says so, and has read nothing of the new one.
#[tokio::test]
async fn a_stream_that_was_created_again() {
    let fake = FakeKinesis::start([("a", shard("a", 5))]);
    let checkpoint = checkpoint_behind(&fake, 5).await;
    let mut listener = go_on(source(&fake.url, ""), checkpoint.clone());
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
    fake.state().create_again([("a", shard("other", 9))]);
    let mut away = go_on(source(&fake.url, ""), checkpoint);
    for listener in [&mut listener, &mut away] {
        let error = listener.finish().await.expect_err("another stream");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_names(&error, &["stream trips", &arn(), "deleted and created again"]);
        assert!(listener.records.is_empty());
    }
}

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
        while !waits(&listener) {
            tokio::select! {
                _ = listener.try_hear_next(0) => {}
                // Nothing may be heard any more.
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
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
        listener.kill();
    }
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
    listener.kill();
}
