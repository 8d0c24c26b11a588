//! The `kinesis` source against a fake that fails by script.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Fault, STREAM, sequence};
use crate::harness::{self, Heard, Listener, Place, SECRET};
use crate::http::refusing_address;
use crate::source_suite;
use std::collections::BTreeMap;
use wasmill_stream::source::Source;
use wasmill_stream::{Error, ErrorKind, SplitId};

/// Settings for a server at `address` that a test wants to be quick.
fn settings(address: &str, more: &str) -> String {
    format!(
        "stream = \"{STREAM}\"\nregion = \"eu-west-1\"\nendpoint = \"{address}\"\nread_interval = \"1ms\"\n\
         poll_interval = \"1ms\"\nstart_timeout = \"300ms\"\naccess_key_id = \"${{SECRET}}\"\n\
         secret_access_key = \"${{SECRET}}\"\n{more}\n"
    )
}

fn source(address: &str, more: &str) -> Box<dyn Source> {
    harness::source("kinesis", &settings(address, more)).expect("good settings")
}

fn listen(source: Box<dyn Source>) -> Listener {
    Listener::start(source, 2, 16 << 20)
}

fn shard(name: &str, records: usize) -> FakeShard {
    FakeShard { records: (0..records).map(|number| format!("{name} {number}")).collect(), ..FakeShard::default() }
}

fn split(shard: &str) -> SplitId {
    SplitId::new("in", shard)
}

/// Whether shard `a` has done something.
fn of_a(splits: &BTreeMap<SplitId, Heard>, what: impl Fn(&Heard) -> bool) -> bool {
    splits.get(&split("a")).is_some_and(what)
}

/// What every source must do, this one does, with three shards and pages that are smaller than a shard.
#[tokio::test]
async fn keeps_the_promises_of_a_source() {
    let fake = FakeKinesis::start(["a", "b", "c"].map(|id| (id, shard(id, 20)))).await;
    fake.state().page = 6;
    let expected: Vec<_> = ["a", "b", "c"].into_iter().flat_map(|id| shard(id, 20).records).collect();
    let tip = || source(&fake.server.address, "until = \"tip\"");
    for workers in [1, 2, 4] {
        source_suite::delivers_and_ends(tip(), workers, &expected).await;
    }
    source_suite::survives_a_small_budget(tip(), 2, &expected).await;
    source_suite::stops_while_it_waits(source(&fake.server.address, ""), 2).await;
}

/// Three shards (more than one page of ListShards) are read through throttles, broken, cut and foreign answers, lost
/// connections, expired iterators and empty pages → every record once, in order, with its own sequence number.
#[tokio::test]
async fn faults_lose_and_double_nothing() {
    use Fault::*;
    let fake = FakeKinesis::start(["a", "b", "c"].map(|id| (id, shard(id, 100)))).await;
    fake.state().page = 7;
    let script = [Throttled, Expired, Broken, Empty, Cut, HungUp, Html, Empty, Expired, Throttled];
    for (turn, id) in ["a", "b", "c"].into_iter().enumerate() {
        let faults = script.iter().cycle().skip(turn * 3).take(script.len());
        // A page after each fault, so that there is something to lose.
        let faults = faults.flat_map(|fault| [Some(*fault), None]).collect();
        fake.state().faults.insert(id.to_owned(), faults);
    }
    let mut listener = listen(source(&fake.server.address, "until = \"tip\""));
    listener.finish().await.expect("no fault is fatal");
    assert_eq!(listener.splits.len(), 3);
    for id in ["a", "b", "c"] {
        let expected: Vec<_> = (0..100).map(|number| (sequence(number), format!("{id} {number}"))).collect();
        let heard = &listener.splits[&split(id)];
        let records: Vec<_> = heard.records.iter().map(|(place, value)| (text(place), value.clone())).collect();
        assert_eq!(records, expected);
        assert!(fake.state().faults[id].is_empty(), "every fault was met");
    }
}

fn text(place: &Place) -> String {
    match place {
        Place::Sequence(sequence) => sequence.to_string(),
        Place::Number(number) => panic!("{number} is no sequence number"),
    }
}

/// Empty pages with a lag are no tip, an empty page without one is: only then has a split caught up.
#[tokio::test]
async fn empty_is_not_caught_up() {
    let fake = FakeKinesis::start([("a", shard("a", 3))]).await;
    fake.state().faults.insert("a".to_owned(), [Some(Fault::Empty); 20].into());
    let mut listener = listen(source(&fake.server.address, ""));
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0 || a.records.len() == 3)).await;
    assert_eq!(listener.splits[&split("a")].caught_up, 0);
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
}

/// `start = "latest"` skips what is old. A record that comes between the first iterator and its expiry is not skipped.
#[tokio::test]
async fn latest_is_pinned() {
    let fake = FakeKinesis::start([("a", shard("old", 5))]).await;
    fake.state().faults.insert("a".to_owned(), [Some(Fault::Expired)].into());
    fake.state().on_expiry = Some(Box::new(|shards: &mut BTreeMap<String, FakeShard>| {
        shards.get_mut("a").expect("there").records.push("new 5".to_owned());
    }));
    let mut listener = listen(source(&fake.server.address, "start = \"latest\"\nuntil = \"tip\""));
    listener.finish().await.expect("nothing fatal");
    assert_eq!(listener.splits[&split("a")].values(), ["new 5"]);
}

/// A stream that was split before the job starts → children are read only after their parent's end.
#[tokio::test]
async fn children_wait_for_parents() {
    let child = |name| FakeShard { parents: vec!["b".to_owned()], ..shard(name, 50) };
    // The parent sorts between its children, and is the slowest of the three.
    let parent = FakeShard { closed: true, ..shard("b", 50) };
    let fake = FakeKinesis::start([("a", child("a")), ("b", parent), ("c", child("c"))]).await;
    fake.state().faults.insert("b".to_owned(), [Some(Fault::Empty); 30].into());
    let mut listener = listen(source(&fake.server.address, ""));
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

/// A shard that is split while it is read → the job does not end as if it had read everything.
#[tokio::test]
async fn new_children_are_not_forgotten() {
    let fake = FakeKinesis::start([("a", shard("a", 5))]).await;
    let mut listener = listen(source(&fake.server.address, ""));
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
    {
        let mut state = fake.state();
        state.shards.get_mut("a").expect("there").closed = true;
        let child = FakeShard { parents: vec!["a".to_owned()], ..shard("child", 1) };
        state.shards.insert("b".to_owned(), child);
    }
    let error = listener.finish().await.expect_err("b was not read").to_string();
    assert!(error.contains("start the job again to read b"), "{error}");
    assert!(listener.splits[&split("a")].done);
}

/// A job that stops while its server does nothing but fail ends at once and well.
#[tokio::test]
async fn a_stop_needs_no_server() {
    let fake = FakeKinesis::start([("a", shard("a", 5))]).await;
    fake.state().faults.insert("a".to_owned(), vec![Some(Fault::Broken); 100_000].into());
    let mut listener = listen(source(&fake.server.address, ""));
    listener.listen_until(|splits| !splits.is_empty()).await;
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
}

/// What cannot work is said at start, with the stream, the region, the endpoint and the service's own words, and without
/// any key.
#[tokio::test]
async fn refusals_name_everything() {
    let fake = FakeKinesis::start([("a", shard("a", 1))]).await;
    let address = fake.server.address.clone();
    let misspelt = settings(&address, "").replace("\"trips\"", "\"trisp\"");
    let error = fail(harness::source("kinesis", &misspelt).expect("good settings")).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_names(&error, &["stream trisp", "eu-west-1", &address, "ResourceNotFoundException"]);

    fake.state().refusal = Some((400, "UnrecognizedClientException"));
    let error = fail(source(&address, "")).await;
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_names(&error, &["stream trips", &address, "UnrecognizedClientException"]);

    let nobody = refusing_address().await;
    assert_names(&fail(source(&nobody, "")).await, &["gave up after", "stream trips", &nobody, "refused"]);
}

async fn fail(source: Box<dyn Source>) -> Error {
    listen(source).finish().await.expect_err("this cannot work")
}

fn assert_names(error: &Error, parts: &[&str]) {
    let report = error.report();
    assert!(parts.iter().all(|part| report.contains(part)), "{parts:?} in: {report}");
    assert!(!report.contains(SECRET), "{report}");
}

/// Every mistake in the settings is found at once; no message repeats a key.
#[test]
fn settings_are_checked() {
    let text = "stream = \"arn:aws:s3:::bucket\"\nendpoint = \"localhost:4568\"\nstart = \"newest\"\nuntil = \"never\"\n\
                max_records = 20000\naccess_key_id = \"AKIA\"\n";
    let problems = harness::source("kinesis", text).err().expect("mistakes");
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let expected =
        ["`stream`", "`endpoint`", "`start`", "`until`", "`max_records`", "`access_key_id` must not", "go together"];
    for key in expected {
        assert!(messages.iter().any(|message| message.contains(key)), "{key}: {messages:?}");
    }
    assert!(!messages.iter().any(|message| message.contains("AKIA")));
    assert!(harness::source("kinesis", "stream = \"x\"\nstart = \"at-timestamp\"").is_err());
    let good = "stream = \"arn:aws:kinesis:eu-west-1:1:stream/x\"\nstart = \"at-timestamp\"\n\
                timestamp = \"2013-01-01T00:00:00Z\"";
    assert!(harness::source("kinesis", good).is_ok());
}
