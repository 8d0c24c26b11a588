//! The `kinesis` source and records into which their producer has packed several, against the fake.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Fault, Record, WHOLE, hash_key, sequence};
use crate::harness::Listener;
use crate::kinesis::{assert_names, go_on, listen, of_a, source, split, text};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasmill_connect::pack::{Aggregate, UserRecord};
use wasmill_stream::ErrorKind;
use wasmill_stream::source::Resume;

/// The hashes of a shard that leaves out most.
const SOME: std::ops::Range<u64> = 0..8;

fn aggregate(records: &[&str]) -> Vec<u8> {
    Aggregate::of("k", None, records.iter().copied()).pack()
}

fn shard(records: Vec<Vec<u8>>) -> FakeShard {
    FakeShard { records: records.into_iter().map(Record::of).collect(), hashes: SOME, ..FakeShard::default() }
}

/// What was heard of shard `a`, as `place value`.
fn heard(listener: &Listener) -> Vec<String> {
    let records = &listener.splits[&split("a")].records;
    records.iter().map(|(place, value)| format!("{} {value}", text(place))).collect()
}

/// Plain records, aggregates, and what has lost its digest, through faults and expired iterators and in parts of few rows →
/// every user record once, in order, with its place in its record.
#[tokio::test]
async fn mixed_streams() {
    let hash = Some(hash_key(3));
    let pack = |records: &[&str]| Aggregate::of("k", hash, records.iter().copied()).pack();
    let mut broken = pack(&["x"]);
    *broken.last_mut().expect("a digest") ^= 1;
    let lost = String::from_utf8_lossy(&broken).into_owned();
    let records = vec![b"a".to_vec(), pack(&["b", "c", "d"]), broken, b"e".to_vec(), pack(&["f"]), pack(&["g", "h"])];
    let expected =
        ["0 a", "1:0 b", "1:1 c", "1:2 d", &format!("2 {lost}"), "3 e", "4:0 f", "5:0 g", "5:1 h"].map(|row| {
            let (number, rest) = row.split_at(1);
            format!("{}{rest}", sequence(number.parse().expect("a number")))
        });
    for rows in [1, 2, 10_000] {
        let fake = FakeKinesis::start([("a", shard(records.clone()))]);
        let faults = [Fault::Expired, Fault::Throttled, Fault::Cut, Fault::Expired, Fault::Empty, Fault::HungUp];
        let faults = faults.into_iter().flat_map(|fault| [None, Some(fault)]).collect();
        fake.state().faults.insert("a".to_owned(), faults);
        fake.state().page = 2;
        let few = format!("until = \"tip\"\nmax_records = {rows}");
        let mut listener = listen(source(&fake.url, &few));
        listener.finish().await.expect("no fault is fatal");
        assert_eq!(heard(&listener), expected);
        let note = listener.checkpoint().note;
        assert_eq!(note["silent"]["a"]["after"], format!("{}:1", sequence(5)), "silent behind the last user record");
    }
}

/// The checkpoint of a source that was killed when it had handed on `rows` of shard `a`, three at a time.
async fn killed_after(fake: &FakeKinesis, rows: usize, resume: Resume) -> (Resume, Vec<String>) {
    let mut listener = go_on(source(&fake.url, "until = \"tip\"\nmax_records = 3"), resume);
    listener.listen_until(|splits| of_a(splits, |a| a.records.len() >= rows)).await;
    let checkpoint = listener.checkpoint();
    let rows = heard(&listener);
    listener.kill();
    (checkpoint, rows)
}

/// Checkpoints inside an aggregate, one of them behind its last user record but one, and an iterator that has expired when
/// reading goes on → the rest of it, and nothing twice.
#[tokio::test]
async fn going_on_inside_an_aggregate() {
    let names: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let packed = aggregate(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let fake = FakeKinesis::start([("a", FakeShard { hashes: WHOLE, ..shard(vec![packed, b"last".to_vec()]) })]);
    let (mut checkpoint, mut all) = (Resume::default(), Vec::new());
    for expected in ["2", "5", "8"] {
        fake.state().faults.insert("a".to_owned(), [Some(Fault::Expired)].into());
        let (next, rows) = killed_after(&fake, 3, checkpoint).await;
        assert_eq!(rows.len(), 3);
        let position = next.splits["a"].position.map(|position| position.to_string());
        assert_eq!(position, Some(format!("{}:{expected}", sequence(0))));
        all.extend(rows);
        checkpoint = next;
    }
    let mut listener = go_on(source(&fake.url, "until = \"tip\""), checkpoint);
    listener.finish().await.expect("nothing fatal");
    all.extend(heard(&listener));
    let inside = (0..10).map(|number| format!("{}:{number} {number}", sequence(0)));
    assert_eq!(all, inside.chain([format!("{} last", sequence(1))]).collect::<Vec<_>>());
}

/// The aggregate inside of which a job was stopped is not kept any more → a gap that names the user record, although the
/// shard was silent behind the aggregate in time: what the job had not taken of it is lost.
#[tokio::test]
async fn lost_user_records_are_never_silent() {
    let fake =
        FakeKinesis::start([("a", FakeShard { hashes: WHOLE, ..shard(vec![aggregate(&["a", "b", "c", "d"])]) })]);
    let (mut checkpoint, _) = killed_after(&fake, 3, Resume::default()).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let silence = serde_json::json!({"a": {"after": format!("{}:3", sequence(0)), "at": now}});
    // A note may be younger than the positions of its checkpoint.
    checkpoint.note["silent"] = silence;
    {
        let mut state = fake.state();
        state.put(0, "later");
        state.shards.get_mut("a").expect("there").trimmed = 1;
    }
    let error = go_on(source(&fake.url, "until = \"tip\""), checkpoint).finish().await.expect_err("a gap");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_names(&error, &["stream trips", ": a: ", &format!("{}:2", sequence(0)), "may be lost"]);
}

/// A producer that knows nothing of a split packs records of both children into one → each is read where it belongs, once,
/// and the note says how many were left out, whether the server names children with their hashes or has to be asked. As KCL
/// has it, if that is asked for → the whole aggregate is left out, also those that came to the right shard.
#[tokio::test]
async fn user_records_of_other_shards() {
    for (names_children, leave_out) in [(true, "user-record"), (false, "user-record"), (true, "aggregate")] {
        let fake = FakeKinesis::start([("a", shard(vec![aggregate(&["hash of the key"])]))]);
        {
            let mut state = fake.state();
            state.names_children = names_children;
            state.put(0, Aggregate::of("k", Some(hash_key(7)), ["before"]).pack());
            state.split("a");
            let user_record =
                |hash: u64, data: &str| UserRecord { partition_key: 0, hash_key: Some(hash), data: data.into() };
            let packed = Aggregate {
                partition_keys: vec!["k".to_owned()],
                hash_keys: (0..8).map(|hash| hash_key(hash).to_string()).collect(),
                records: [(1, "low"), (6, "high"), (3, "middle"), (4, "upper")]
                    .map(|(hash, data)| user_record(hash, data))
                    .to_vec(),
            };
            state.put(0, packed.pack());
            state.put(4, "high again");
            state.put(4, Aggregate::of("k", Some(hash_key(4)), ["upper again"]).pack());
        }
        let mut listener = listen(source(&fake.url, &format!("leave_out = \"{leave_out}\"")));
        let low = split("shardId-000000000000");
        let high = split("shardId-000000000001");
        listener
            .listen_until(|splits| [&low, &high].iter().all(|id| splits.get(id).is_some_and(|s| s.caught_up > 0)))
            .await;
        // The hash of "k" is in the last quarter of all, and the shard has the first eight 32-bit hashes.
        assert_eq!(listener.splits[&split("a")].values(), ["before"]);
        assert_eq!(listener.splits[&high].values(), ["high again", "upper again"]);
        let places: Vec<_> = listener.splits[&low].records.iter().map(|(place, _)| text(place)).collect();
        let elsewhere = &listener.checkpoint().note["elsewhere"];
        if leave_out == "aggregate" {
            assert!(places.is_empty(), "{places:?}");
            assert_eq!(*elsewhere, serde_json::json!({"a": 1, "shardId-000000000000": 4}));
        } else {
            assert_eq!(listener.splits[&low].values(), ["low", "middle"]);
            assert_eq!(places, [format!("{}:0", sequence(2)), format!("{}:2", sequence(2))]);
            assert_eq!(*elsewhere, serde_json::json!({"a": 1, "shardId-000000000000": 2}));
        }
        listener.kill();
    }
}

/// A million bytes are not the only way to fill a memory: user records without bytes → the source waits, as what their
/// positions take counts too.
#[tokio::test]
async fn empty_user_records_are_no_way_around_the_budget() {
    let packed = aggregate(&[""; 30_000]);
    let fake = FakeKinesis::start([("a", FakeShard { hashes: WHOLE, ..shard(vec![packed]) })]);
    let mut listener = Listener::start(source(&fake.url, "max_records = 1000"), 1, 100_000);
    listener.hold();
    let rows = |listener: &Listener| listener.splits.values().map(|split| split.records.len()).sum::<usize>();
    let waits = tokio::time::timeout(Duration::from_millis(300), listener.listen_until(|_| false)).await;
    assert!(waits.is_err());
    assert!((1_000..5_000).contains(&rows(&listener)), "{}", rows(&listener));
}
