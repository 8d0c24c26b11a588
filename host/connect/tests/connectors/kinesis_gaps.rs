//! Records, shards and streams that have gone before they were read: never in silence.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Fault, RETENTION_HOURS, State, arn, sequence};
use crate::kinesis::{assert_names, go_on, listen, of_a, shard, source, split};
use std::sync::atomic::Ordering::Relaxed;
use wasmill_stream::ErrorKind;
use wasmill_stream::source::Resume;

/// The checkpoint of a source that has read all of shard `a`.
pub async fn checkpoint_behind(fake: &FakeKinesis, records: usize) -> Resume {
    let mut listener = listen(source(&fake.url, ""));
    listener.listen_until(|splits| of_a(splits, |a| a.records.len() == records && a.caught_up > 0)).await;
    let checkpoint = listener.checkpoint();
    listener.kill();
    checkpoint
}

/// A checkpoint as if it had been made longer ago than the stream keeps records.
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
