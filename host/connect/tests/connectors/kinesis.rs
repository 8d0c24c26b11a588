//! The `kinesis` source against a fake that fails by script.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Fault, Limits, Record, STREAM, sequence};
use crate::harness::{self, Heard, Listener, Place, SECRET};
use crate::http::refusing_address;
use crate::source_suite;
use std::collections::BTreeMap;
use std::time::Duration;
use wasmill_stream::source::{CaughtUp, Resume, Source};
use wasmill_stream::{Error, ErrorKind, SplitId};

/// Settings for a server at `address` that a test wants to be quick.
pub fn settings(address: &str, more: &str) -> String {
    format!(
        "stream = \"{STREAM}\"\nregion = \"eu-west-1\"\nendpoint = \"{address}\"\nread_interval = \"1ms\"\n\
         poll_interval = \"1ms\"\nstart_timeout = \"300ms\"\naccess_key_id = \"${{SECRET}}\"\n\
         secret_access_key = \"${{SECRET}}\"\n{more}\n"
    )
}

pub fn source(address: &str, more: &str) -> Box<dyn Source> {
    harness::source("kinesis", &settings(address, more)).expect("good settings")
}

pub fn listen(source: Box<dyn Source>) -> Listener {
    Listener::start(source, 2, 16 << 20)
}

pub fn shard(name: &str, records: usize) -> FakeShard {
    FakeShard {
        records: (0..records).map(|number| Record::of(format!("{name} {number}"))).collect(),
        ..FakeShard::default()
    }
}

pub fn go_on(source: Box<dyn Source>, resume: Resume) -> Listener {
    Listener::go_on(source, 2, 16 << 20, Some(resume))
}

pub fn split(shard: &str) -> SplitId {
    SplitId::new("in", shard)
}

/// Whether shard `a` has done something.
pub fn of_a(splits: &BTreeMap<SplitId, Heard>, what: impl Fn(&Heard) -> bool) -> bool {
    splits.get(&split("a")).is_some_and(what)
}

/// What every source must do, this one does, with three shards and pages that are smaller than a shard.
#[tokio::test]
async fn keeps_the_promises_of_a_source() {
    let fake = FakeKinesis::start(["a", "b", "c"].map(|id| (id, shard(id, 20))));
    fake.state().page = 6;
    let records = |id| (0..20).map(move |number| format!("{id} {number}"));
    let expected: Vec<_> = ["a", "b", "c"].into_iter().flat_map(records).collect();
    let tip = || source(&fake.url, "until = \"tip\"");
    for workers in [1, 2, 4] {
        source_suite::delivers_and_ends(tip(), workers, &expected).await;
    }
    source_suite::survives_a_small_budget(tip(), 2, &expected).await;
    source_suite::stops_while_it_waits(source(&fake.url, ""), 2).await;
}

/// Three shards (more than one page of ListShards) are read through throttles, broken, cut, empty and foreign answers, lost
/// connections, expired iterators and empty pages → every record once, in order, with its own sequence number.
#[tokio::test]
async fn faults_lose_and_double_nothing() {
    use Fault::*;
    let fake = FakeKinesis::start(["a", "b", "c"].map(|id| (id, shard(id, 100))));
    fake.state().page = 7;
    let script = [Throttled, Expired, Broken, Empty, Cut, NoBody, HungUp, Braces, Html, Empty, Expired, Throttled];
    for (turn, id) in ["a", "b", "c"].into_iter().enumerate() {
        let faults = script.iter().cycle().skip(turn * 3).take(script.len());
        // A page after each fault, so that there is something to lose.
        let faults = faults.flat_map(|fault| [Some(*fault), None]).collect();
        fake.state().faults.insert(id.to_owned(), faults);
    }
    let mut listener = listen(source(&fake.url, "until = \"tip\""));
    listener.finish().await.expect("no fault is fatal");
    assert_eq!(listener.splits.len(), 3);
    for id in ["a", "b", "c"] {
        let records = fake.state().shards[id].records.clone();
        let expected: Vec<_> =
            records.iter().zip(0..).map(|(record, at)| (sequence(record.number), format!("{id} {at}"))).collect();
        let heard = &listener.splits[&split(id)];
        let records: Vec<_> = heard.records.iter().map(|(place, value)| (text(place), value.clone())).collect();
        assert_eq!(records, expected);
        assert!(fake.state().faults[id].is_empty(), "every fault was met");
    }
}

pub fn text(place: &Place) -> String {
    match place {
        Place::Sequence(sequence) => sequence.to_string(),
        Place::Number(number) => panic!("{number} is no sequence number"),
    }
}

/// A page that breaks off, at every byte of it → it is read again as a whole: every record once, in order.
#[tokio::test]
async fn cut_anywhere() {
    // So long is a page of one record at most; where it is shorter, it comes whole.
    const BYTES: usize = 600;
    const IDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const RECORDS: usize = 2 * BYTES / IDS.len() + 10;
    let fake = FakeKinesis::start(IDS.map(|id| (id, shard(id, RECORDS))));
    fake.state().page = 1;
    for (turn, id) in IDS.into_iter().enumerate() {
        // A page after each, so that the pauses stay short.
        let cuts = (turn..BYTES).step_by(IDS.len()).flat_map(|keep| [Some(Fault::CutAt(keep)), None]);
        fake.state().faults.insert(id.to_owned(), cuts.collect());
    }
    let mut listener = listen(source(&fake.url, "until = \"tip\""));
    listener.finish().await.expect("no cut is fatal");
    for id in IDS {
        let expected: Vec<_> = (0..RECORDS).map(|number| format!("{id} {number}")).collect();
        assert_eq!(listener.splits[&split(id)].values(), expected);
        assert!(fake.state().faults[id].is_empty(), "every cut was met");
    }
}

/// Five hundred empty pages before the data, and an iterator that expires among them → the data, once.
#[tokio::test]
async fn many_empty_pages() {
    let fake = FakeKinesis::start([("a", shard("a", 3))]);
    let empty = [Some(Fault::Empty); 250];
    fake.state().faults.insert("a".to_owned(), [&empty[..], &[Some(Fault::Expired)], &empty[..]].concat().into());
    let mut listener = listen(source(&fake.url, ""));
    listener.listen_until(|splits| of_a(splits, |a| a.records.len() == 3)).await;
    assert!(fake.state().faults["a"].is_empty());
    assert_eq!(listener.records, ["a 0", "a 1", "a 2"]);
    listener.kill();
}

/// Iterators that expire, each once before it gives anything, whether it came with a page or was asked for → every record once.
#[tokio::test]
async fn every_iterator_expires() {
    const RECORDS: usize = 30;
    let fake = FakeKinesis::start(["a", "b"].map(|id| (id, shard(id, RECORDS))));
    fake.state().page = 3;
    for id in ["a", "b"] {
        // The one with which reading begins, and from then on the one of each page.
        let faults = [Some(Fault::Expired), None].into_iter().cycle().take(2 * RECORDS / 3);
        fake.state().faults.insert(id.to_owned(), faults.collect());
    }
    let mut listener = listen(source(&fake.url, "until = \"tip\""));
    listener.finish().await.expect("an old iterator is not fatal");
    for id in ["a", "b"] {
        let expected: Vec<_> = (0..RECORDS).map(|number| format!("{id} {number}")).collect();
        assert_eq!(listener.splits[&split(id)].values(), expected);
        assert!(fake.state().faults[id].is_empty(), "every iterator has expired");
    }
}

/// A server that tells the same lag for ever although there is nothing more → some day that is a silence: a backfill ends, and
/// nothing claims that all was read.
#[tokio::test]
async fn a_lag_that_stays() {
    let fake = FakeKinesis::start([("a", shard("a", 3))]);
    let faults = [vec![None], vec![Some(Fault::Empty); 100_000]].concat();
    fake.state().faults.insert("a".to_owned(), faults.into());
    let mut listener = listen(source(&fake.url, "until = \"tip\""));
    listener.finish().await.expect("it ends");
    assert_eq!(listener.records, ["a 0", "a 1", "a 2"]);
    assert!(listener.checkpoint().note["silent"].is_null());
}

/// Three shards that are behind, at the intervals that are the default, under the limits of the service and beside another reader
/// who takes what it can get → every record once, by no more than five reads a second of each shard.
#[tokio::test]
async fn five_reads_a_second() {
    const RECORDS: usize = 12;
    let fake = FakeKinesis::start(["a", "b", "c"].map(|id| (id, shard(id, RECORDS))));
    {
        let mut state = fake.state();
        state.page = 1;
        state.limits = Some(Limits::of_aws());
    }
    let settings = settings(&fake.url, "until = \"tip\"").replace("read_interval = \"1ms\"\n", "");
    let mut listener = listen(harness::source("kinesis", &settings).expect("good settings"));
    let reading = async { listener.finish().await.expect("no throttle is fatal") };
    let other = async {
        loop {
            {
                let mut state = fake.state();
                let now = state.clock.now();
                if let Some(limits) = &mut state.limits {
                    limits.read("b", now);
                }
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    tokio::select! {
        () = reading => {}
        () = other => {}
    }
    for id in ["a", "b", "c"] {
        let expected: Vec<_> = (0..RECORDS).map(|number| format!("{id} {number}")).collect();
        assert_eq!(listener.splits[&split(id)].values(), expected);
        let state = fake.state();
        let reads =
            state.calls.iter().filter(|call| call.operation == "GetRecords" && call.shard.as_deref() == Some(id));
        let times: Vec<_> = reads.map(|call| call.at).collect();
        // The first is at once; each takes its time on the way.
        let most = 2 + (times[times.len() - 1] - times[0]) / 200;
        assert!(times.len() > RECORDS && times.len() as i64 <= most, "{id}: {} reads, at most {most}", times.len());
    }
}

/// Empty pages with a lag are no tip, an empty page without one is: only then has a split caught up.
#[tokio::test]
async fn empty_is_not_caught_up() {
    let fake = FakeKinesis::start([("a", shard("a", 3))]);
    fake.state().faults.insert("a".to_owned(), [Some(Fault::Empty); 20].into());
    let mut listener = listen(source(&fake.url, ""));
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0 || a.records.len() == 3)).await;
    assert_eq!(listener.splits[&split("a")].caught_up, 0);
    listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
}

/// A shard at its tip → it says for how long that stands: a few polls, and not for ever. An outage is no silence.
#[tokio::test]
async fn an_empty_page_does_not_stand_for_ever() {
    let fake = FakeKinesis::start([("a", shard("a", 1))]);
    for (interval, seconds) in [("1ms", 5), ("3s", 9)] {
        let settings =
            settings(&fake.url, "").replace("poll_interval = \"1ms\"", &format!("poll_interval = \"{interval}\""));
        let mut listener = listen(harness::source("kinesis", &settings).expect("good settings"));
        listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0)).await;
        let expected = CaughtUp::Looked { again_within: Duration::from_secs(seconds) };
        assert_eq!(listener.splits[&split("a")].knows, Some(expected));
        listener.kill();
    }
}

/// A server that took the keys and refuses them for a while, or says that they have expired → the job waits, and goes on.
#[tokio::test]
async fn refused_keys_are_waited_for() {
    let fake = FakeKinesis::start([("a", FakeShard { hashes: 0..8, ..shard("a", 1) })]);
    let mut listener = listen(source(&fake.url, ""));
    for (round, code) in
        ["InvalidSignatureException", "UnrecognizedClientException", "ExpiredTokenException"].into_iter().enumerate()
    {
        listener.listen_until(|splits| of_a(splits, |a| a.caught_up > 0 && a.records.len() == round + 1)).await;
        {
            let mut state = fake.state();
            (state.refusal, state.refused) = (Some((400, code)), 0);
            state.put(0, code);
        }
        let refused = async {
            while fake.state().refused < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(harness::PATIENCE, refused).await.expect("it is asked again");
        fake.state().refusal = None;
    }
    listener.listen_until(|splits| of_a(splits, |a| a.records.len() == 4)).await;
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
}

/// A job that stops while its server does nothing but fail ends at once and well.
#[tokio::test]
async fn a_stop_needs_no_server() {
    let fake = FakeKinesis::start([("a", shard("a", 5))]);
    fake.state().faults.insert("a".to_owned(), vec![Some(Fault::Broken); 100_000].into());
    let mut listener = listen(source(&fake.url, ""));
    listener.listen_until(|splits| !splits.is_empty()).await;
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
}

/// What cannot work is said at start, with the stream, the region, the endpoint and the service's own words, and without
/// any key.
#[tokio::test]
async fn refusals_name_everything() {
    let fake = FakeKinesis::start([("a", shard("a", 1))]);
    let address = fake.url.clone();
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

pub fn assert_names(error: &Error, parts: &[&str]) {
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
