//! The `kinesis` source as a subscriber: events in place of pages, subscriptions that end, break, keep silent or are refused.

use crate::fake_kinesis::{FakeKinesis, FakeShard, PushFault, Record, State};
use crate::harness::{self, Heard, Listener};
use crate::kinesis::{go_on, listen, settings, source, split};
use crate::source_suite;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use wasmill_stream::SplitId;
use wasmill_stream::source::{CaughtUp, Source};

/// As whom the source subscribes, and when it takes a subscription for lost.
const FAN_OUT: &str = "fan_out = \"reader\"\nfan_out_silence = \"500ms\"";

fn subscriber(fake: &FakeKinesis, more: &str) -> Box<dyn Source> {
    source(&fake.url, &format!("{FAN_OUT}\n{more}"))
}

fn shard(name: &str, records: usize) -> FakeShard {
    let records = (0..records).map(|number| Record::of(format!("{name} {number:04}"))).collect();
    FakeShard { records, ..FakeShard::default() }
}

fn expected(name: &str, records: usize) -> Vec<String> {
    (0..records).map(|number| format!("{name} {number:04}")).collect()
}

fn calls(fake: &FakeKinesis, operation: &str) -> usize {
    fake.state().calls.iter().filter(|call| call.operation == operation).count()
}

/// Passes the time of the server while it lives: a subscription that was dropped holds its shard for five seconds, and one that
/// goes on ends after five minutes.
struct TimeFlies(Arc<AtomicBool>);

impl TimeFlies {
    fn over(fake: &Arc<FakeKinesis>) -> Self {
        let (over, fake) = (Arc::new(AtomicBool::new(false)), fake.clone());
        let ends = over.clone();
        std::thread::spawn(move || {
            while !ends.load(Relaxed) {
                fake.state().pass(2_000);
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        Self(over)
    }
}

impl Drop for TimeFlies {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// What every source must do, a subscriber does, on servers that greet and on those that do not, and nothing is polled.
#[tokio::test]
async fn keeps_the_promises_of_a_source() {
    for greets in [true, false] {
        let fake = FakeKinesis::start(["a", "b", "c"].map(|id| (id, shard(id, 20))));
        fake.state().page = 6;
        fake.state().greets = greets;
        let all: Vec<_> = ["a", "b", "c"].into_iter().flat_map(|id| expected(id, 20)).collect();
        let again = || {
            // Nobody holds the shards any more.
            fake.state().pass(5_000);
            subscriber(&fake, "until = \"tip\"")
        };
        for workers in [1, 2, 4] {
            source_suite::delivers_and_ends(again(), workers, &all).await;
        }
        source_suite::survives_a_small_budget(again(), 2, &all).await;
        fake.state().pass(5_000);
        source_suite::stops_while_it_waits(subscriber(&fake, ""), 2).await;
        assert_eq!((calls(&fake, "GetRecords"), calls(&fake, "RegisterStreamConsumer")), (0, 1));
    }
}

/// Subscriptions that end, break off, fail, keep silent from the start or after an event, or are refused once → every record once
/// and in order.
#[tokio::test]
async fn faults_lose_and_double_nothing() {
    use PushFault::*;
    let fake = Arc::new(FakeKinesis::start(["a", "b", "c"].map(|id| (id, shard(id, 300)))));
    fake.state().page = 4;
    let script = [Ends, Cut, Fails, InUse, Ends, Silent, SilentAfterOne, Cut, LimitExceeded, Ends];
    for (turn, id) in ["a", "b", "c"].into_iter().enumerate() {
        let faults = script.iter().cycle().skip(turn * 3).take(script.len()).map(|fault| Some(*fault));
        fake.state().push_faults.insert(id.to_owned(), faults.collect());
    }
    let _time = TimeFlies::over(&fake);
    let mut listener = listen(subscriber(&fake, ""));
    let is_read = |split: &Heard| split.records.len() == 300 && split.caught_up > 0;
    listener.listen_until(|splits| splits.len() == 3 && splits.values().all(is_read)).await;
    for id in ["a", "b", "c"] {
        assert_eq!(listener.splits[&split(id)].values(), expected(id, 300));
    }
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
}

/// Subscriptions that are refused again and again → the shard is polled, the status says why, and nothing is lost or doubled.
#[tokio::test]
async fn refusals_lead_to_polling() {
    let fake = FakeKinesis::start([("a", shard("a", 50))]);
    fake.state().push_faults.insert("a".to_owned(), [Some(PushFault::LimitExceeded); 3].into());
    let mut listener = listen(subscriber(&fake, ""));
    listener.listen_until(|splits| splits.values().any(|split| split.caught_up > 0)).await;
    assert_eq!(listener.records, expected("a", 50));
    let remark = listener.ledger.remarks().remove("in/a").expect("there is one");
    assert!(remark.starts_with("fan-out reader: polling, because "), "{remark}");
    assert!(remark.contains("LimitExceededException"), "{remark}");
    listener.kill();
}

/// Twenty other consumers → the source polls from the start and says why; when one of them goes, it subscribes in the same run,
/// the status is clear, and no record is lost or doubled.
#[tokio::test]
async fn a_stream_with_all_its_consumers() {
    let fake = FakeKinesis::start([("a", shard("a", 50))]);
    fake.state().consumers.extend((0..20).map(|number| (format!("other-{number}"), Default::default())));
    let mut listener = listen(subscriber(&fake, "fan_out_retry = \"10ms\""));
    listener.listen_until(|splits| splits.values().any(|split| split.caught_up > 0)).await;
    assert_eq!(listener.records, expected("a", 50));
    let remark = listener.ledger.remarks().remove("in/a").expect("there is one");
    assert!(remark.contains("polling") && remark.contains("20 consumers"), "{remark}");
    fake.state().consumers.remove("other-7");
    listener.listen_until(|_| calls(&fake, "SubscribeToShard") > 0).await;
    fake.state().push("a", Record::of("a 0050"));
    listener.listen_until(|splits| splits.values().any(|split| split.records.len() == 51)).await;
    assert_eq!(listener.records, expected("a", 51));
    assert_eq!(listener.ledger.remarks(), BTreeMap::new());
    listener.kill();
}

/// A consumer that somebody deregisters while it is subscribed → it is registered again.
#[tokio::test]
async fn a_consumer_that_is_deregistered() {
    let fake = FakeKinesis::start([("a", shard("a", 5))]);
    let mut listener = listen(subscriber(&fake, "fan_out_retry = \"10ms\""));
    listener.listen_until(|splits| splits.values().any(|split| split.caught_up > 0)).await;
    fake.state().consumers.clear();
    listener.listen_until(|_| calls(&fake, "RegisterStreamConsumer") == 2).await;
    fake.state().push("a", Record::of("a 0005"));
    listener.listen_until(|splits| splits.values().any(|split| split.records.len() == 6)).await;
    assert_eq!(listener.records, expected("a", 6));
    listener.kill();
}

/// A job that takes nothing in for longer than a subscription may keep silent → that is no silence of the server: nothing is
/// polled, and nothing is lost or doubled.
#[tokio::test]
async fn back_pressure_is_no_silence() {
    let fake = Arc::new(FakeKinesis::start([("a", shard("a", 400))]));
    fake.state().page = 5;
    let _time = TimeFlies::over(&fake);
    let mut listener = Listener::start(subscriber(&fake, ""), 1, 64);
    let heard = |splits: &BTreeMap<SplitId, Heard>| splits.values().map(|split| split.records.len()).sum::<usize>();
    for records in [3, 200, 400] {
        listener.listen_until(|splits| heard(splits) >= records).await;
        // This is what the test is about: the source has to wait.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
    }
    assert_eq!(listener.records, expected("a", 400));
    assert_eq!((calls(&fake, "GetRecords"), listener.ledger.remarks().len()), (0, 0));
    listener.kill();
}

/// A shard at its tip → the server's word stands until the server would be taken for silent.
#[tokio::test]
async fn an_event_stands_for_a_while() {
    let fake = FakeKinesis::start([("a", shard("a", 1))]);
    let mut listener = listen(subscriber(&fake, ""));
    listener.listen_until(|splits| splits.values().any(|split| split.caught_up > 0)).await;
    let expected = CaughtUp::Looked { again_within: Duration::from_millis(500) };
    assert_eq!(listener.splits[&split("a")].knows, Some(expected));
    listener.kill();
}

/// A shard that is split, on a server that ends its subscriptions and on one that does not, with and without the names of the
/// children → they are read behind it; where nobody says that it has ended, once the subscription is over.
#[tokio::test]
async fn closed_shards_end() {
    for (ends_subscriptions, names_children) in [(true, true), (true, false), (false, true)] {
        let fake = Arc::new(FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("a", 5) })]));
        fake.state().ends_subscriptions = ends_subscriptions;
        fake.state().names_children = names_children;
        let mut listener = listen(subscriber(&fake, ""));
        listener.listen_until(|splits| splits.values().any(|split| split.caught_up > 0)).await;
        split_and_put(&mut fake.state());
        let _time = (!ends_subscriptions).then(|| TimeFlies::over(&fake));
        let children = |splits: &BTreeMap<SplitId, Heard>| splits.values().filter(|s| !s.records.is_empty()).count();
        listener.listen_until(|splits| children(splits) == 3).await;
        assert_eq!(listener.records.last().map(String::as_str), Some("child"));
        assert_eq!(calls(&fake, "GetRecords") == 0, ends_subscriptions, "of ends_subscriptions = {ends_subscriptions}");
        listener.kill();
    }
}

/// Shards that end one after the other as soon as they can, on a server that names no children → lists of shards keep their pace.
#[tokio::test]
async fn lists_are_paced() {
    const INTERVAL: i64 = 300;
    const IDS: [&str; 4] = ["a", "b", "c", "d"];
    let whole =
        |(at, id): (usize, &'static str)| (id, FakeShard { hashes: at as u64 * 2..at as u64 * 2 + 2, ..shard(id, 1) });
    let fake = FakeKinesis::start(IDS.into_iter().enumerate().map(whole));
    fake.state().names_children = false;
    let settings =
        settings(&fake.url, FAN_OUT).replace("poll_interval = \"1ms\"", &format!("poll_interval = \"{INTERVAL}ms\""));
    let mut listener = listen(harness::source("kinesis", &settings).expect("good settings"));
    listener.listen_until(|splits| splits.len() == 4 && splits.values().all(|split| split.caught_up > 0)).await;
    let begun = fake.state().clock.now();
    for (at, id) in IDS.into_iter().enumerate() {
        fake.state().split(id);
        listener.listen_until(|splits| splits.len() == 4 + 2 * (at + 1)).await;
    }
    // The first is made at once.
    let took = fake.state().clock.now() - begun;
    assert!(took >= (IDS.len() as i64 - 1) * INTERVAL, "four lists within {took} ms");
    listener.kill();
}

/// Subscriptions that end as soon as they have begun → the next one begins a while after: a second, as the service asks for, or
/// five times as long as between two reads.
#[tokio::test]
async fn subscriptions_are_paced() {
    let fake = Arc::new(FakeKinesis::start([("a", shard("a", 450))]));
    fake.state().push_faults.insert("a".to_owned(), [Some(PushFault::Ends); 4].into());
    let settings = settings(&fake.url, FAN_OUT).replace("read_interval = \"1ms\"", "read_interval = \"100ms\"");
    let _time = TimeFlies::over(&fake);
    let begun = Instant::now();
    let mut listener = listen(harness::source("kinesis", &settings).expect("good settings"));
    listener.listen_until(|splits| splits.values().any(|split| split.records.len() == 450)).await;
    assert!(calls(&fake, "SubscribeToShard") >= 5);
    assert!(begun.elapsed() >= 4 * Duration::from_millis(500), "five subscriptions within {:?}", begun.elapsed());
    listener.kill();
}

fn split_and_put(state: &mut State) {
    state.split("a");
    state.put(0, "child");
    state.put(7, "child");
}

/// A checkpoint of a subscriber, gone on from by a subscriber and by one who polls → every record once.
#[tokio::test]
async fn checkpoints_are_the_same() {
    for next in [FAN_OUT, ""] {
        let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("a", 50) })]);
        fake.state().page = 7;
        let mut listener = listen(subscriber(&fake, ""));
        listener.listen_until(|splits| splits.values().any(|split| split.records.len() >= 20)).await;
        let (checkpoint, mut records) = (listener.checkpoint(), std::mem::take(&mut listener.records));
        listener.kill();
        fake.state().pass(5_000);
        let mut listener = go_on(source(&fake.url, next), checkpoint);
        listener.listen_until(|splits| splits.values().any(|split| split.caught_up > 0)).await;
        records.append(&mut listener.records);
        assert_eq!(records, expected("a", 50));
        listener.kill();
    }
}
