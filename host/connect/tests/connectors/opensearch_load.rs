//! How many requests the `opensearch` sink has on their way, in what order, and what it does when it is not let in, against the
//! fake.

use crate::fake_search::{FakeSearch, Loss, Turn};
use crate::harness::PATIENCE;
use crate::opensearch::{counts, documents, open, results, sink, write};
use crate::sink_suite::{records, write_batches};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Pane, Result};

/// A fake whose answers wait, and a sink that writes so many rows, one in each request.
struct Held {
    fake: FakeSearch,
    gate: Arc<Semaphore>,
    writing: JoinHandle<Result<Arc<StepLedger>>>,
    /// How many answers were let through.
    released: usize,
}

impl Held {
    async fn start(rows: usize, settings: &str, script: impl IntoIterator<Item = Turn>) -> Self {
        let (fake, gate) = (FakeSearch::start().await, Arc::new(Semaphore::new(0)));
        fake.state().gate = Some(gate.clone());
        fake.state().script = script.into_iter().collect();
        let sink = sink(&fake.server.address, &format!("batch_rows = 1\n{settings}"));
        let batch = records(0, documents(0..rows));
        let writing = tokio::spawn(async move { write_batches(sink, &[batch]).await });
        Self { fake, gate, writing, released: 0 }
    }

    fn release(&mut self, answers: usize) {
        self.gate.add_permits(answers);
        self.released += answers;
    }

    /// How many requests have come.
    fn arrived(&self) -> usize {
        self.fake.state().bulk_sizes().len()
    }

    /// Waits until so many are on their way at once.
    async fn until_at_once(&self, requests: usize) {
        until(|| self.arrived() == self.released + requests).await;
    }

    /// Whoever could be on the way has come by now, most probably.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    async fn finish(mut self) -> Arc<StepLedger> {
        self.release(1_000);
        self.writing.await.expect("it does not panic").expect("nothing fatal")
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it comes in time");
}

/// A server that takes everything → more and more requests at once, up to as many as the job file allows; when it has too many
/// of them, half as many.
#[tokio::test]
async fn concurrency_follows_the_server() {
    let busy = Turn::Refuse(429, "");
    let taken = Turn::Except(vec![]);
    // Nine are taken, and the four that are on their way then are refused.
    let script = [vec![taken; 9], vec![busy; 4]].concat();
    let mut held = Held::start(60, "concurrency = 4", script).await;
    held.until_at_once(2).await;
    for _ in 0..9 {
        held.release(1);
        held.settle().await;
    }
    held.until_at_once(4).await;
    held.release(4);
    // The refused ones come again, and nothing else: their permits are theirs.
    held.until_at_once(4).await;
    held.settle().await;
    assert_eq!(held.arrived(), 9 + 4 + 4);
    for left in [3, 2] {
        held.release(1);
        held.settle().await;
        assert_eq!(held.arrived() - held.released, left, "no new request while half as many are allowed");
    }
    held.release(1);
    held.until_at_once(3).await;
    let ledger = held.finish().await;
    assert_eq!(counts(&ledger), (60, 0));
}

/// Requests that together are larger than what may be on its way → one after the other.
#[tokio::test]
async fn bytes_on_their_way_are_bounded() {
    let mut held = Held::start(20, "in_flight_bytes = \"60B\"", []).await;
    for _ in 0..10 {
        held.until_at_once(1).await;
        held.settle().await;
        assert_eq!(held.arrived() - held.released, 1);
        held.release(1);
    }
    let ledger = held.finish().await;
    assert_eq!(counts(&ledger), (20, 0));
}

/// A server that takes nothing → the sink takes no more rows than it may have on their way, for as long as that lasts, and
/// nothing is lost.
#[tokio::test]
async fn a_sink_that_is_down_takes_no_more() {
    let fake = FakeSearch::start().await;
    fake.state().script = vec![Turn::Refuse(503, ""); 8].into();
    let (mut writer, ledger) = open(sink(&fake.server.address, "batch_rows = 1\nconcurrency = 3"), 0).await;
    let mut taken = 0;
    {
        let write = async {
            for number in 0..50 {
                write(&mut writer, &ledger, records(0, [format!("{{\"n\":{number}}}")])).await;
                taken += 1;
            }
        };
        tokio::pin!(write);
        let refused = until(|| fake.state().script.is_empty());
        tokio::select! {
            () = &mut write => panic!("it takes all rows of a server that is down"),
            () = refused => {}
        }
        write.await;
    }
    assert_eq!(taken, 50);
    writer.close().await.expect("the end");
    assert_eq!(counts(&ledger), (50, 0));
    assert!(ledger.retries.load(Relaxed) >= 8);
}

/// Results without versions, several requests at once, the first refused for now → a correction of it waits until it is there,
/// and what belongs to other keys does not.
#[tokio::test]
async fn nothing_overtakes_its_own_id() {
    let fake = FakeSearch::start().await;
    let gate = Arc::new(Semaphore::new(0));
    fake.state().gate = Some(gate.clone());
    fake.state().script = [Turn::Refuse(429, "")].into();
    let (mut writer, ledger) = open(sink(&fake.server.address, "batch_rows = 1\nconcurrency = 8"), 0).await;
    write(&mut writer, &ledger, results(Pane::OnTime, &[("a", "{\"n\":1}")])).await;
    write(&mut writer, &ledger, results(Pane::OnTime, &[("b", "{\"n\":1}")])).await;
    until(|| fake.state().bulk_sizes().len() == 2).await;
    let correct = write(&mut writer, &ledger, results(Pane::Late, &[("a", "{\"n\":2}")]));
    let open_gate = async {
        gate.add_permits(100);
    };
    tokio::join!(correct, open_gate);
    writer.close().await.expect("the end");
    let bodies: Vec<_> =
        fake.state().requests.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect();
    let of_a: Vec<_> =
        bodies.iter().filter(|body| body.contains("|10|a")).map(|body| body.contains("\"n\":2")).collect();
    assert_eq!(of_a, [false, false, true], "{bodies:?}");
    assert_eq!(fake.state().documents["trips/count|0|10|a"], "{\"n\":2}");
    assert_eq!(counts(&ledger), (3, 0));
}

/// A right that is taken away, from the whole request or from one index → the sink pauses where everybody can see it, throws
/// nothing away, and goes on when it is let in.
#[tokio::test]
async fn who_is_not_let_in_pauses() {
    let whole = Turn::Refuse(403, r#"{"error":{"type":"security_exception","reason":"no permissions"},"status":403}"#);
    let expired = Turn::Refuse(401, "{\"message\":\"The security token included in the request is expired\"}");
    let item = Turn::Except(vec![("<1>", 403, "security_exception")]);
    for (turn, words) in [(whole, "no permissions"), (expired, "expired"), (item, "security_exception")] {
        let fake = FakeSearch::start().await;
        let gate = Arc::new(Semaphore::new(2));
        fake.state().gate = Some(gate.clone());
        fake.state().script = vec![turn; 3].into();
        let (mut writer, ledger) = open(sink(&fake.server.address, ""), 0).await;
        write(&mut writer, &ledger, records(0, documents(0..3))).await;
        let paused = async {
            until(|| ledger.paused().is_some_and(|reason| reason.contains(words))).await;
            gate.add_permits(100);
        };
        let (flushed, ()) = tokio::join!(writer.flush(), paused);
        flushed.expect("it is let in at last");
        assert_eq!(ledger.paused(), None);
        assert_eq!(counts(&ledger), (3, 0), "{:?}", ledger.rejects());
    }
}

/// One refusal that the next try cures, as of credentials that have expired → nobody is told.
#[tokio::test]
async fn one_refusal_is_no_pause() {
    let fake = FakeSearch::start().await;
    fake.state().script = [Turn::Refuse(403, "{\"message\":\"expired\"}")].into();
    let (mut writer, ledger) = open(sink(&fake.server.address, ""), 0).await;
    write(&mut writer, &ledger, records(0, documents(0..3))).await;
    let watch = async {
        loop {
            assert_eq!(ledger.paused(), None);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        flushed = writer.flush() => flushed.expect("it is let in"),
        () = watch => {}
    }
    assert_eq!(counts(&ledger), (3, 0));
}

/// Two servers of a cluster, one of which goes away → everything arrives by the other.
#[tokio::test]
async fn one_server_of_two_goes_away() {
    let (first, second) = (FakeSearch::start().await, FakeSearch::start().await);
    let addresses = format!("endpoint = [\"{}\", \"{}\"]", first.server.address, second.server.address);
    let text = format!("{addresses}\nindex = \"trips\"\nbatch_rows = 5\n");
    let sink = crate::harness::sink("opensearch", &text).expect("good settings");
    let (mut writer, ledger) = open(sink, 0).await;
    write(&mut writer, &ledger, records(0, documents(0..40))).await;
    writer.flush().await.expect("both are there");
    let stored = |fake: &FakeSearch| fake.state().documents.len();
    assert!(stored(&first) > 0 && stored(&second) > 0);
    drop(first);
    let batch = Arc::new(records(0, documents(0..100)).select(&(40..100).collect::<Vec<_>>()));
    write(&mut writer, &ledger, batch).await;
    writer.close().await.expect("one is enough");
    assert_eq!(counts(&ledger), (100, 0));
    let all: BTreeSet<_> = second.state().documents.values().cloned().collect();
    assert!(documents(40..100).iter().all(|document| all.contains(document)));
}

/// Three documents in ten fail with each answer, for reasons that pass and for some that do not, several requests at once → each
/// row is in the index or among the rejected, once, and the balance holds all the while.
#[tokio::test]
async fn three_in_ten_fail() {
    const KINDS: [(u16, &str); 5] = [
        (429, "rejected_execution_exception"),
        (503, "unavailable_shards_exception"),
        (403, "cluster_block_exception"),
        (500, "null_pointer_exception"),
        (400, "mapper_parsing_exception"),
    ];
    let fake = FakeSearch::start().await;
    // Names of rows that live as long as the script.
    let names: Vec<&'static str> = (0..400).map(|number| &*format!("<{number}>").leak()).collect();
    let mut random = 7_u64;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut failing = |name: &&'static str| {
        let (status, kind) = KINDS[below(5) as usize];
        (below(10) < 3).then_some((*name, status, kind))
    };
    let seconds = std::env::var("WASMILL_FAILING").map_or(0, |seconds| seconds.parse().expect("a number of seconds"));
    let (since, lasts) = (Instant::now(), Duration::from_secs(seconds));
    let (mut writer, ledger) = open(sink(&fake.server.address, "batch_rows = 20"), 0).await;
    let (mut rows, mut written) = (0, 0);
    while rows == 0 || since.elapsed() < lasts {
        fake.state().script = (0..60).map(|_| Turn::Except(names.iter().filter_map(&mut failing).collect())).collect();
        rows += 400;
        let write = async {
            write(&mut writer, &ledger, records(0, documents(0..400))).await;
            writer.flush().await.expect("nothing fatal");
        };
        let watch = async {
            loop {
                let counts = ledger.counts();
                let settled = counts.emitted + counts.rejected;
                assert!((rows - 400..=rows).contains(&settled) && counts.written == counts.emitted, "{counts}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = write => {}
            () = watch => {}
        }
        // The rows of the next round have the same ids.
        let stored: BTreeSet<_> = std::mem::take(&mut fake.state().documents).into_values().collect();
        written += stored.len() as u64;
        assert_eq!(counts(&ledger), (written, rows - written), "{:?}", ledger.rejects());
    }
    writer.close().await.expect("nothing fatal");
    assert!(rows > written && ledger.retries.load(Relaxed) > 0);
    eprintln!("{rows} rows in {:?}: {written} written, the others rejected", since.elapsed());
}

/// An answer that breaks off at any of its bytes → the request is sent again, and nothing is doubled or lost.
#[tokio::test]
async fn answers_cut_anywhere() {
    let whole = r#"{"errors":false,"items":[{"index":{"status":201}},{"index":{"status":201}}],"took":1}"#.len();
    let cut = async |bytes: usize| {
        let fake = FakeSearch::start().await;
        fake.state().script = [Turn::Lost(Loss::CutAt(bytes))].into();
        let ledger =
            write_batches(sink(&fake.server.address, ""), &[records(0, documents(0..2))]).await.expect("nothing fatal");
        assert_eq!(counts(&ledger), (2, 0), "cut at {bytes}");
        let state = fake.state();
        assert_eq!(state.documents.values().cloned().collect::<Vec<_>>(), documents(0..2), "cut at {bytes}");
        assert_eq!(state.bulk_sizes(), [2, 2], "cut at {bytes}");
    };
    futures::future::join_all((0..whole).map(cut)).await;
}
