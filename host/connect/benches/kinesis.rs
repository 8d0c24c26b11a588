//! What reading a stream costs: eight shards of the fake Kinesis to their tips, plain records and packed ones, by the `kinesis`
//! source and by a bare loop over GetRecords. Counted is the CPU time of the one thread on which the reader runs, so that
//! the server, which has threads of its own, and the network cost nothing. Who unpacks has to verify the digest of what was
//! packed, so there is also a loop that does nothing but that.

#[allow(dead_code, unused_imports)]
#[path = "../../../tests/harness/fake_kinesis/mod.rs"]
mod fake_kinesis;
#[allow(dead_code)]
#[path = "../../../tests/harness/loopback.rs"]
mod loopback;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Credentials;
use aws_sdk_kinesis::types::ShardIteratorType;
use cpu_time::ThreadTime;
use fake_kinesis::{FakeKinesis, STREAM, WHOLE};
use futures::future::join_all;
use md5::{Digest, Md5};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use toml::de::DeTable;
use wasmill_connect::SOURCES;
use wasmill_connect::pack::Aggregate;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::source::{Delivery, Intake, Source, SplitEvent, WorkerQueue};

const SHARDS: u64 = 8;
/// User records of each shard, and the bytes of each.
const RECORDS: usize = 24_000;
const BYTES: usize = 300;
/// User records that are packed into one.
const PACKED: usize = 100;
/// Rounds, of which the best counts: others use the machine, too.
const ROUNDS: usize = 5;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Read {
    rows: usize,
    bytes: usize,
}

fn main() {
    for (name, packed) in [("plain", 1), ("packed", PACKED)] {
        let fake = filled(packed);
        let (ours, cost) = best(|| by_source(&fake.url));
        assert_eq!(ours, Read { rows: SHARDS as usize * RECORDS, bytes: SHARDS as usize * RECORDS * BYTES });
        // Of the bytes of the rows: those around packed ones are no use to anybody.
        let speed = |cost: Duration| ours.bytes as f64 / 1e6 / cost.as_secs_f64();
        println!(
            "{name}: {:.0} MB/s per core, {:.0} ns per row",
            speed(cost),
            cost.as_nanos() as f64 / ours.rows as f64
        );
        for (what, verifies) in [("a bare loop", false), ("one that takes the digests of what is packed", true)] {
            if packed > 1 || !verifies {
                let (_, bare) = best(|| by_bare_loop(&fake.url, verifies));
                println!("    {what}: {:.0} MB/s per core, ratio {:.2}", speed(bare), bare.div_duration_f64(cost));
            }
        }
    }
}

/// A stream with all its records, so many of them packed into one.
fn filled(packed: usize) -> FakeKinesis {
    let fake = FakeKinesis::with_shards(SHARDS);
    let mut state = fake.state();
    state.page = 10_000;
    let row = |number: usize| format!("{{\"number\":{number:07}}}").into_bytes();
    for shard in 0..SHARDS {
        for first in (0..RECORDS).step_by(packed) {
            let rows = (first..first + packed).map(|number| {
                let mut row = row(number);
                row.resize(BYTES, b' ');
                row
            });
            let hash = shard * WHOLE.end / SHARDS;
            let hash_key = Some(fake_kinesis::hash_key(hash));
            let data = match packed {
                1 => rows.flatten().collect(),
                _ => Aggregate::of("key", hash_key, rows.collect::<Vec<_>>()).pack(),
            };
            state.put(hash, data);
        }
    }
    drop(state);
    fake
}

/// The best of several rounds.
fn best(mut round: impl FnMut() -> Read) -> (Read, Duration) {
    let rounds = (0..ROUNDS).map(|_| {
        let begun = ThreadTime::now();
        let read = round();
        (read, begun.elapsed())
    });
    rounds.min_by_key(|(_, cost)| *cost).expect("there are rounds")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be had")
}

fn by_source(url: &str) -> Read {
    runtime().block_on(async {
        let (sender, mut queue) = mpsc::channel(64);
        let stop = watch::Sender::new(false);
        let intake = Intake::new(vec![WorkerQueue { sender, wake: Arc::new(|| ()) }], 16 << 20, stop.subscribe());
        let running = tokio::spawn(source(url).run(intake));
        let mut read = Read { rows: 0, bytes: 0 };
        while let Some(delivery) = queue.recv().await {
            if let Delivery::Event(_, SplitEvent::Rows(chunk)) = delivery {
                read.rows += chunk.values.len();
                read.bytes += chunk.values.total_bytes();
            }
        }
        running.await.expect("it does not panic").expect("it ends at the tip");
        read
    })
}

fn source(url: &str) -> Box<dyn Source> {
    let settings = format!(
        "stream = \"{STREAM}\"\nregion = \"eu-west-1\"\nendpoint = \"{url}\"\nread_interval = \"1ms\"\nuntil = \"tip\"\n\
         access_key_id = \"${{KEY}}\"\nsecret_access_key = \"${{KEY}}\""
    );
    let table = DeTable::parse(&settings).expect("valid TOML");
    let (place, parameters) = (table.span(), |_: &str| Some("test".to_owned()));
    let mut section = Section::new("source in", place, table.into_inner(), &parameters);
    let mut problems = Problems::default();
    let kind = SOURCES.iter().find(|source| source.name == "kinesis").expect("it is listed");
    (kind.check)("in", &mut section, &mut problems).expect("good settings")
}

/// Reads all shards at once, and does nothing with what comes, but for the digests if it is to take them.
fn by_bare_loop(url: &str, verifies: bool) -> Read {
    runtime().block_on(async {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "bench"))
            .endpoint_url(url)
            .load()
            .await;
        let client = Client::new(&config);
        let read =
            join_all((0..SHARDS).map(|shard| read_bare(&client, format!("shardId-{shard:012}"), verifies))).await;
        let sum = |of: fn(&Read) -> usize| read.iter().map(of).sum();
        Read { rows: sum(|read| read.rows), bytes: sum(|read| read.bytes) }
    })
}

async fn read_bare(client: &Client, shard: String, verifies: bool) -> Read {
    let request = client.get_shard_iterator().stream_name(STREAM).shard_id(shard);
    let answer = request.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.expect("a shard");
    let mut iterator = answer.shard_iterator;
    let mut read = Read { rows: 0, bytes: 0 };
    loop {
        let answer = client.get_records().set_shard_iterator(iterator).send().await.expect("a page");
        read.rows += answer.records.len();
        read.bytes += answer.records.iter().map(|record| record.data.as_ref().len()).sum::<usize>();
        for record in answer.records.iter().filter(|_| verifies) {
            black_box(Md5::digest(record.data.as_ref()));
        }
        if answer.millis_behind_latest == Some(0) {
            return read;
        }
        iterator = answer.next_shard_iterator;
    }
}
