//! Shards that are split and merged: which is read when, and from where.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Fault};
use crate::harness::{Heard, Listener};
use crate::kinesis::{listen, of_a, shard, source, split};
use std::collections::BTreeMap;
use wasmill_stream::SplitId;

/// A stream that was split before the job starts → children are read only after their parent's end.
#[tokio::test]
async fn children_wait_for_parents() {
    let child = |name| FakeShard { parents: vec!["b".to_owned()], ..shard(name, 50) };
    // The parent sorts between its children, and is the slowest of the three.
    let parent = FakeShard { closed: true, ..shard("b", 50) };
    let fake = FakeKinesis::start([("a", child("a")), ("b", parent), ("c", child("c"))]);
    fake.state().faults.insert("b".to_owned(), [Some(Fault::Empty); 30].into());
    let mut listener = listen(source(&fake.url, ""));
    let parent_done = |splits: &BTreeMap<SplitId, Heard>| splits.get(&split("b")).is_some_and(|b| b.done);
    listener
        .listen_until(|splits| {
            let children = splits.iter().filter(|(id, _)| **id != split("b"));
            let early = !parent_done(splits) && children.clone().any(|(_, child)| !child.records.is_empty());
            assert!(!early, "a child is read before its parent's end");
            parent_done(splits) && children.clone().all(|(_, child)| child.caught_up > 0)
        })
        .await;
    assert!(listener.splits.values().all(|split| split.records.len() == 50));
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
}

/// A shard that is split, and whose children are merged, while it is read → each generation is read behind the one before,
/// from its first record although the job started at the latest, whether the server names children or has to be asked.
#[tokio::test]
async fn reshards_are_followed() {
    for names_children in [true, false] {
        let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("old", 5) })]);
        fake.state().names_children = names_children;
        // One worker hears everything in the order in which it is sent.
        let mut listener = Listener::start(source(&fake.url, "start = \"latest\""), 1, 16 << 20);
        listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
        {
            let mut state = fake.state();
            state.put(0, "new 1".to_owned());
            state.split("a");
            state.put(0, "lower".to_owned());
            state.put(7, "upper".to_owned());
            state.merge("shardId-000000000000", "shardId-000000000001");
            state.put(3, "merged".to_owned());
        }
        let merged = split("shardId-000000000002");
        let children = ["shardId-000000000000", "shardId-000000000001"].map(split);
        listener
            .listen_until(|splits| {
                let is_held = children.iter().all(|child| splits.contains_key(child));
                assert!(
                    is_held || !of_a(splits, |a| a.done),
                    "children hold the watermark before their parent lets it go"
                );
                splits.get(&merged).is_some_and(|merged| merged.caught_up > 0)
            })
            .await;
        listener.stop();
        listener.finish().await.expect("a stop is no failure");
        assert_eq!(listener.ended[0], split("a"));
        assert_eq!(listener.ended.len(), 3);
        let mut records = listener.records;
        records[1..3].sort();
        assert_eq!(records, ["new 1", "lower", "upper", "merged"]);
    }
}

/// A shard that ends, and one of two that are merged, in a job with checkpoints → no child is read before a published
/// checkpoint holds the ends of all its parents; other shards are read meanwhile.
#[tokio::test]
async fn children_wait_for_a_checkpoint() {
    let open = |hashes| FakeShard { hashes, ..FakeShard::default() };
    let fake = FakeKinesis::start([("a", open(0..8)), ("b", open(8..16)), ("c", open(16..24))]);
    let source = source(&fake.url, "");
    let mut listener = Listener::with_checkpoints(source, 2, 16 << 20, None);
    {
        let mut state = fake.state();
        state.split("a");
        (0..8).for_each(|hash| state.put(hash, format!("child {hash}")));
    }
    listener.listen_until(|splits| of_a(splits, |a| a.done)).await;
    listener.awaited().await;
    fake.state().put(16, "c 0".to_owned());
    listener.listen_until(|splits| splits.values().any(|split| !split.records.is_empty())).await;
    fake.state().merge("b", "c");
    fake.state().put(8, "merged".to_owned());
    listener.listen_until(|splits| splits.len() == 6 && splits.values().filter(|split| split.done).count() == 3).await;
    assert_eq!(listener.records, ["c 0"]);
    listener.publish(&listener.checkpoint());
    let count = |splits: &BTreeMap<SplitId, Heard>| splits.values().map(|split| split.records.len()).sum::<usize>();
    listener.listen_until(|splits| count(splits) == 10).await;
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
}

/// A shard that ends and names a child whose other parent nobody has heard of, as that shard is a child of one that is still read
/// → the child waits for that one, too.
#[tokio::test]
async fn a_parent_that_nobody_has_seen() {
    let fake = FakeKinesis::start([
        ("a", FakeShard { hashes: 0..8, ..shard("a", 1) }),
        ("b", FakeShard { hashes: 8..16, ..shard("b", 1) }),
    ]);
    // Behind its record, there is nothing on many pages.
    fake.state().faults.insert("b".to_owned(), [vec![None], vec![Some(Fault::Empty); 200]].concat().into());
    let mut listener = listen(source(&fake.url, ""));
    listener.listen_until(|splits| splits.values().map(|split| split.records.len()).sum::<usize>() == 2).await;
    {
        let mut state = fake.state();
        state.split("b");
        state.put(8, "of b");
        state.merge("a", "shardId-000000000000");
        state.put(8, "of both");
    }
    let merged = split("shardId-000000000002");
    listener.listen_until(|splits| splits.get(&merged).is_some_and(|merged| !merged.records.is_empty())).await;
    assert_eq!(listener.records[2..], ["of b", "of both"]);
    listener.kill();
}

/// Shards that end at different watermarks and are merged, in one run and with a restart in between → the merged shard has the
/// lower of both, however long its first record takes; if one of them had none, it has none.
#[tokio::test]
async fn children_inherit_a_watermark() {
    for (watermarks, inherited) in [([Some(7), Some(5)], Some(5)), ([Some(7), None], None)] {
        let open = |hashes| FakeShard { hashes, ..FakeShard::default() };
        let fake = FakeKinesis::start([("a", open(0..8)), ("b", open(8..16))]);
        let start = |resume| Listener::with_checkpoints(source(&fake.url, ""), 2, 16 << 20, resume);
        let mut listener = start(None);
        listener.listen_until(|splits| splits.len() == 2 && splits.values().all(|split| split.caught_up > 0)).await;
        fake.state().merge("a", "b");
        listener.listen_until(|splits| splits.values().filter(|split| split.done).count() == 2).await;
        let mut checkpoint = listener.checkpoint();
        for (shard, watermark) in ["a", "b"].into_iter().zip(watermarks) {
            checkpoint.splits.get_mut(shard).expect("it was read").watermark = watermark;
        }
        listener.publish(&checkpoint);
        let merged = split("shardId-000000000000");
        for mut listener in [listener, start(Some(checkpoint))] {
            listener.listen_until(|splits| splits.get(&merged).is_some_and(|merged| merged.caught_up > 0)).await;
            assert_eq!(listener.splits[&merged].inherited, inherited, "of {watermarks:?}");
            listener.kill();
        }
    }
}

/// Many shards that are split at once, on a server that names no children → the list that one of them asks for serves all.
#[tokio::test]
async fn one_list_serves_all() {
    const IDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let whole = |(at, id): (usize, &'static str)| {
        let at = at as u64;
        (id, FakeShard { hashes: at * 2..at * 2 + 2, ..shard(id, 1) })
    };
    let fake = FakeKinesis::start(IDS.into_iter().enumerate().map(whole));
    fake.state().names_children = false;
    let mut listener = listen(source(&fake.url, ""));
    listener.listen_until(|splits| splits.len() == 8 && splits.values().all(|split| split.caught_up > 0)).await;
    {
        let mut state = fake.state();
        state.lists = 0;
        IDS.iter().for_each(|id| state.split(id));
    }
    listener.listen_until(|splits| splits.len() == 24 && splits.values().all(|s| s.done || s.caught_up > 0)).await;
    assert_eq!(fake.state().lists, 1);
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
}
