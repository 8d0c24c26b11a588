//! Where the `kinesis` source begins when it is to begin with the latest: one time, that of the service, for good.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Fault, State};
use crate::harness::Listener;
use crate::kinesis::{go_on, listen, of_a, shard, source, split};
use std::time::Duration;

/// A machine whose clock is twenty minutes ahead of the service, or behind it → "latest" is what is written from the start on, by
/// the service's clock.
#[tokio::test]
async fn latest_is_of_the_service() {
    for ahead in [-1_200_000, 1_200_000] {
        let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("old", 5) })]);
        fake.state().clock.ahead = ahead;
        fake.state().shards.get_mut("a").expect("there").records.iter_mut().for_each(|old| old.arrived += ahead);
        let mut listener = listen(source(&fake.url, "start = \"latest\""));
        listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
        fake.state().put(0, "new 1");
        listener.listen_until(|splits| of_a(splits, |a| !a.records.is_empty())).await;
        assert_eq!(listener.records, ["new 1"]);
        let at = listener.checkpoint().note["start"]["at"].as_i64().expect("it is pinned");
        assert!((at - fake.state().clock.now()).abs() < 600_000, "{at}");
        listener.kill();
    }
}

/// `start = "latest"` skips what is old. A record that comes between the first iterator and its expiry is not skipped.
#[tokio::test]
async fn latest_is_pinned() {
    let fake = FakeKinesis::start([("a", shard("old", 5))]);
    fake.state().faults.insert("a".to_owned(), [Some(Fault::Expired)].into());
    fake.state().on_expiry = Some(Box::new(|state: &mut State| state.put(0, "new 5")));
    let mut listener = listen(source(&fake.url, "start = \"latest\"\nuntil = \"tip\""));
    listener.finish().await.expect("nothing fatal");
    assert_eq!(listener.splits[&split("a")].values(), ["new 5"]);
}

/// A source that started at the latest goes on from that time after a restart, also in a shard of which it has no record.
#[tokio::test]
async fn latest_is_pinned_over_a_restart() {
    let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("old", 5) })]);
    let latest = || source(&fake.url, "start = \"latest\"");
    let mut listener = listen(latest());
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
    let checkpoint = listener.checkpoint();
    listener.kill();
    fake.state().put(0, "new 1".to_owned());
    let mut listener = go_on(latest(), checkpoint);
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
    assert_eq!(listener.records, ["new 1"]);
}

/// A source that starts at the latest, in a job with checkpoints → it reads nothing before a checkpoint holds where that was:
/// after a crash it would begin at another place.
#[tokio::test]
async fn latest_is_kept_before_it_is_read() {
    let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("old", 5) })]);
    let latest = source(&fake.url, "start = \"latest\"");
    let mut listener = Listener::with_checkpoints(latest, 2, 16 << 20, None);
    listener.listen_until(|splits| splits.contains_key(&split("a"))).await;
    fake.state().put(0, "new 1".to_owned());
    let early = tokio::time::timeout(Duration::from_millis(100), listener.listen_until(|_| false)).await;
    assert!(early.is_err() && of_a(&listener.splits, |a| a.records.is_empty() && a.caught_up == 0));
    assert!(!listener.checkpoint().note["start"]["at"].is_null(), "{:?}", listener.checkpoint());
    listener.publish(&listener.checkpoint());
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
    assert_eq!(listener.records, ["new 1"]);
}
