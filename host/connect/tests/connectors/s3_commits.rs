//! The `s3` sink in a job with checkpoints: an object is there when, and only when, a published checkpoint has its rows,
//! whatever is answered or not answered to the requests that make it.

use crate::crash_suite::{Act, Fate, acts, opening, survives};
use crate::fake_s3::{Call, FakeS3, Object, Upload, access};
use crate::formats::parquet_rows;
use crate::harness;
use crate::moto::Moto;
use crate::sink_suite::{batch, rows};
use proptest::prelude::*;
use serde_json::Value;
use std::time::Duration;
use tokio::runtime::Runtime;
use wasmill_stream::sink::{Cut, Opening, Sink, SinkWriter};
use wasmill_stream::{ErrorKind, Result};

/// The sink.
pub fn sink(bucket: &str, access: &str, more: &str) -> Box<dyn Sink> {
    let text = format!("bucket = \"{bucket}\"\n{access}{more}\n");
    harness::sink("s3", &text).expect("good settings")
}

async fn open(fake: &FakeS3, run: u64, prepared: &Value) -> Result<Box<dyn SinkWriter>> {
    sink("lake", &fake.access(), "prefix = \"raw/{+%Y}/\"").open(opening(run, prepared)).await
}

/// All rows in the bucket.
fn stored(fake: &FakeS3) -> Vec<String> {
    let state = fake.state();
    let lines = state.objects.values().map(|object| String::from_utf8_lossy(&object.bytes).into_owned());
    lines.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The same of objects of Parquet.
fn stored_parquet(fake: &FakeS3) -> Vec<String> {
    let state = fake.state();
    let rows = state.objects.values().flat_map(|object| parquet_rows(object.bytes.clone()));
    rows.map(|row| match row["n"].as_u64() {
        Some(n) => format!("{{\"n\":{n}}}"),
        None => row.to_string(),
    })
    .collect()
}

/// A sink that has these rows in a checkpoint which is published and not committed.
async fn published(fake: &FakeS3, rows: &[String]) -> (Box<dyn SinkWriter>, Value) {
    let mut writer = open(fake, 1, &Value::Null).await.expect("it opens");
    writer.write(batch(rows)).await.expect("a write");
    let prepared = writer.prepare(Cut::Running).await.expect("a checkpoint is prepared");
    assert!(stored(fake).is_empty(), "nothing before the commit");
    (writer, prepared)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever happens to the job, and although a fifth of all writes get no answer, the bucket has the rows of published
    /// checkpoints, once each, and no unfinished uploads in the end.
    #[test]
    fn exactly_the_published_rows(acts in acts(), is_parquet in any::<bool>()) {
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let fake = FakeS3::start().await;
            fake.state().lost_percent = 20;
            let more = match is_parquet {
                true => "format = \"parquet\"\nobject_bytes = \"64B\"\nprefix = \"raw/dt={+%Y-%m-%d}/n={n}/\"",
                false => "object_bytes = \"64B\"\nprefix = \"raw/\"",
            };
            let make = || sink("lake", &fake.access(), more);
            survives(&make, &|| if is_parquet { stored_parquet(&fake) } else { stored(&fake) }, &acts).await;
            assert!(fake.state().uploads.is_empty(), "{:?}", fake.state().uploads);
        });
    }
}

/// A server by others, and every fate of a checkpoint → the rows of published checkpoints, and no unfinished uploads.
#[tokio::test]
async fn moto() {
    let Some(moto) = Moto::start() else { return };
    let access = access(&moto.address).replace("300ms", "10s");
    let fates = [Fate::Committed, Fate::Prepared, Fate::Published, Fate::CommittedTwice];
    let mut acts: Vec<_> = fates.into_iter().flat_map(|fate| [Act::Write(9), Act::Checkpoint(2, fate)]).collect();
    acts.extend([Act::Write(5), Act::Flush, Act::Freeze, Act::Write(4), Act::Stop, Act::Write(1), Act::Crash]);
    let visible = || {
        let keys = moto.list("?list-type=2", "Key").into_iter();
        let bodies = keys.map(|key| moto.send("GET", &format!("/{key}?Signature=any")));
        let lines =
            bodies.map(|answer| answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).expect("a body"));
        lines.flat_map(|body| body.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    survives(&|| sink(&moto.bucket, &access, "object_bytes = \"64B\"\nprefix = \"raw/\""), &visible, &acts).await;
    assert!(moto.list("?uploads", "UploadId").is_empty());
}

/// A completion that is refused for now, heard and not answered, or answered with an error although the status is 200: in
/// the end the object is there once.
#[tokio::test]
async fn unclear_completions() {
    let answers = [
        None,
        Some((200, "InternalError")),
        Some((200, "SlowDown")),
        Some((200, "SomethingElse")),
        Some((409, "OperationAborted")),
        Some((500, "InternalError")),
        Some((503, "SlowDown")),
    ];
    for (applied, answer) in [true, false].into_iter().flat_map(|applied| answers.map(|answer| (applied, answer))) {
        let fake = FakeS3::start().await;
        let (mut writer, _) = published(&fake, &rows(3)).await;
        fake.next(Call::Complete, applied, answer);
        writer.commit().await.expect("a commit");
        assert_eq!(stored(&fake), rows(3), "applied {applied}, answered {answer:?}");
        assert_eq!(fake.state().objects.len(), 1);
    }
}

/// A completion whose answer is lost is found to be done by the run after the crash as well, and by two at once.
#[tokio::test]
async fn completed_before_the_crash() {
    let fake = FakeS3::start().await;
    let (mut writer, prepared) = published(&fake, &rows(3)).await;
    writer.commit().await.expect("a commit");
    drop(writer);
    let (one, other) = tokio::join!(open(&fake, 2, &prepared), open(&fake, 3, &prepared));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(stored(&fake), rows(3));

    let fake = FakeS3::start().await;
    let (writer, prepared) = published(&fake, &rows(3)).await;
    drop(writer);
    let (one, other) = tokio::join!(open(&fake, 2, &prepared), open(&fake, 3, &prepared));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(stored(&fake), rows(3));
}

/// Objects that are known to be committed may have been taken away.
#[tokio::test]
async fn committed_objects_belong_to_their_readers() {
    let fake = FakeS3::start().await;
    let (mut writer, prepared) = published(&fake, &rows(3)).await;
    writer.commit().await.expect("a commit");
    drop(writer);
    fake.state().objects.clear();
    let error = open(&fake, 2, &prepared).await.err().expect("it is looked for");
    assert!(error.report().contains("if a reader has taken it"), "{}", error.report());
    let opening = Opening { committed: true, ..opening(3, &prepared) };
    let reopened = sink("lake", &fake.access(), "prefix = \"raw/{+%Y}/\"").open(opening).await;
    reopened.expect("it goes on");
    assert!(stored(&fake).is_empty());
}

/// An upload that is gone without its object, or with another one in its place, ends the job; nothing is written anew.
#[tokio::test]
async fn an_upload_is_gone() {
    let fake = FakeS3::start().await;
    let (mut writer, prepared) = published(&fake, &rows(3)).await;
    fake.state().uploads.clear();
    let begun = fake.state().calls.iter().filter(|call| **call == Call::Begin).count();
    let error = writer.commit().await.expect_err("its rows are lost");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let key = prepared["uploads"][0]["key"].as_str().expect("a key").to_owned();
    for part in ["lake", key.as_str(), "no such object", "lifecycle rule"] {
        assert!(error.report().contains(part), "{part}: {}", error.report());
    }
    let size = prepared["uploads"][0]["bytes"].as_u64().expect("a size") as usize;
    let stamp = prepared["uploads"][0]["stamp"].as_str().expect("a stamp").to_owned();
    for (size, metadata) in [(size, String::new()), (size + 1, stamp)] {
        fake.state().objects.insert(key.clone(), Object { bytes: vec![b' '; size], metadata });
        let error = open(&fake, 2, &prepared).await.err().expect("that is another one");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.report().contains("another one"), "{}", error.report());
    }
    assert_eq!(fake.state().calls.iter().filter(|call| **call == Call::Begin).count(), begun);
}

/// A part that is another one, shorter or gone when the job goes on → no object, and an error that names it and what the
/// checkpoint says.
#[tokio::test]
async fn other_parts() {
    let harms: [fn(&mut Upload); 3] = [
        |upload| upload.parts.values_mut().for_each(|bytes| *bytes = vec![b' '; bytes.len()]),
        |upload| upload.parts.values_mut().for_each(|bytes| bytes.truncate(1)),
        |upload| upload.parts.clear(),
    ];
    for harm in harms {
        let fake = FakeS3::start().await;
        let (writer, prepared) = published(&fake, &rows(3)).await;
        drop(writer);
        fake.state().uploads.values_mut().for_each(harm);
        let error = open(&fake, 2, &prepared).await.err().expect("its rows are others");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let text = |of: &Value| of.as_str().expect("text").trim_matches('"').to_owned();
        let (key, part) = (text(&prepared["uploads"][0]["key"]), text(&prepared["uploads"][0]["parts"][0]));
        for word in [&key, &part, "the server has others", "older checkpoint"] {
            assert!(error.report().contains(word), "{word}: {}", error.report());
        }
        assert!(stored(&fake).is_empty());
    }
}

/// Beginnings and parts that fail, are damaged on the way or are not answered are sent again; what was begun in vain is thrown away at the commit.
#[tokio::test]
async fn uploads_are_tried_again() {
    let fake = FakeS3::start().await;
    for (call, applied, answer) in [
        (Call::Begin, true, None),
        (Call::Begin, false, Some((503, "SlowDown"))),
        (Call::Part, true, None),
        (Call::Part, false, Some((500, "InternalError"))),
    ] {
        fake.next(call, applied, answer);
    }
    fake.state().flips = 1;
    let (mut writer, _) = published(&fake, &rows(3)).await;
    assert_eq!(fake.state().uploads.len(), 2);
    writer.commit().await.expect("a commit");
    assert_eq!(stored(&fake), rows(3));
    assert!(fake.state().uploads.is_empty(), "the one that was begun in vain is gone");
}

/// An object of several parts comes together as it was.
#[tokio::test]
async fn large_objects() {
    let fake = FakeS3::start().await;
    let row = |n: usize| format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(1 << 20));
    let expected: Vec<_> = (0..40).map(row).collect();
    let settings = "object_bytes = \"200 MiB\"";
    let mut writer = sink("lake", &fake.access(), settings).open(opening(1, &Value::Null)).await.expect("it opens");
    writer.write(batch(&expected)).await.expect("a write");
    let prepared = writer.prepare(Cut::Stop).await.expect("a checkpoint is prepared");
    assert_eq!(prepared["uploads"][0]["parts"].as_array().map(Vec::len), Some(3), "16 MiB each");
    writer.commit().await.expect("a commit");
    assert!(stored(&fake) == expected);
}

/// Rows that are as old as `roll_interval`, as the engine is told to watch → they are uploaded between two checkpoints, and
/// visible with the next.
#[tokio::test]
async fn objects_roll_by_time() {
    let fake = FakeS3::start().await;
    let settings = "prefix = \"raw/\"\nroll_interval = \"7m\"";
    let mut writer = sink("lake", &fake.access(), settings).open(opening(1, &Value::Null)).await.expect("it opens");
    assert_eq!(writer.flush_interval(), Duration::from_secs(420));
    let all = rows(5);
    for some in all.chunks(2) {
        writer.write(batch(some)).await.expect("a write");
        let before = fake.state().uploads.len();
        writer.flush().await.expect("its time has come");
        assert_eq!(fake.state().uploads.len(), before + 1);
    }
    assert!(stored(&fake).is_empty());
    let prepared = writer.prepare(Cut::Running).await.expect("a checkpoint is prepared");
    assert_eq!(prepared["uploads"].as_array().map(Vec::len), Some(3));
    writer.commit().await.expect("a commit");
    assert_eq!(stored(&fake), all);
}

/// Nothing is aborted when a sink is closed or dropped: a manifest may name what it has uploaded.
#[tokio::test]
async fn nothing_is_aborted_at_the_end() {
    let fake = FakeS3::start().await;
    let (mut writer, prepared) = published(&fake, &rows(3)).await;
    writer.write(batch(&rows(1))).await.expect("a write");
    writer.flush().await.expect("a flush");
    writer.close().await.expect("the end");
    drop(writer);
    assert!(!fake.state().calls.contains(&Call::Abort));
    assert!(stored(&fake).is_empty());
    assert_eq!(fake.state().uploads.len(), 2);
    open(&fake, 2, &prepared).await.expect("another goes on");
    assert_eq!(stored(&fake), rows(3));
    assert!(fake.state().uploads.is_empty(), "what no manifest names is gone");
}

/// Uploads of others and of later runs are left alone, and objects too; those of dead runs are found on every page.
#[tokio::test]
async fn only_orphans_are_reaped() {
    let fake = FakeS3::start().await;
    let (mut writer, prepared) = published(&fake, &rows(3)).await;
    writer.commit().await.expect("a commit");
    let key = prepared["uploads"][0]["key"].as_str().expect("a key").to_owned();
    let foreign = [
        "raw/2013/mine.jsonl".to_owned(),
        key.replace("1-000000", "9-000000"),
        key.replace("out-", "out-0"),
        key.replace("raw/", "cooked/"),
        format!("{key}-"),
    ];
    let orphans = (0..7).map(|n| key.replace("1-000000", &format!("1-00000{n}")));
    for (n, key) in foreign[..4].iter().cloned().chain(orphans).enumerate() {
        fake.state().uploads.insert(format!("planted-{n}"), Upload::of(key));
    }
    drop(writer);
    open(&fake, 2, &prepared).await.expect("it opens");
    let mut left: Vec<_> = fake.state().uploads.values().map(|upload| upload.key.clone()).collect();
    left.sort();
    let mut expected = foreign[..4].to_vec();
    expected.sort();
    assert_eq!(left, expected);
    assert_eq!(stored(&fake), rows(3));
}

/// What could not be thrown away at one commit is thrown away at the next.
#[tokio::test]
async fn reaping_is_tried_again() {
    let fake = FakeS3::start().await;
    let (mut writer, prepared) = published(&fake, &rows(3)).await;
    for _ in 0..2 {
        writer.write(batch(&rows(1))).await.expect("a write");
        writer.flush().await.expect("a flush");
    }
    drop(writer);
    fake.next(Call::Abort, false, Some((503, "SlowDown")));
    let mut writer = open(&fake, 2, &prepared).await.expect("it opens");
    assert_eq!(fake.state().uploads.len(), 1, "the other one is gone");
    writer.prepare(Cut::Running).await.expect("a checkpoint is prepared");
    writer.commit().await.expect("a commit");
    assert!(fake.state().uploads.is_empty());
}

/// Who may not list uploads can work all the same, and is refused once.
#[tokio::test]
async fn listing_is_denied() {
    let fake = FakeS3::start().await;
    fake.next(Call::Uploads, false, Some((403, "AccessDenied")));
    let (mut writer, _) = published(&fake, &rows(3)).await;
    writer.commit().await.expect("a commit");
    assert_eq!(stored(&fake), rows(3));
    let asked = fake.state().calls.iter().filter(|call| **call == Call::Uploads).count();
    assert_eq!(asked, 1, "what is denied is not asked for again");
}

/// Keys follow from sink, run and number, and objects say whose they are.
#[tokio::test]
async fn keys_are_determined() {
    let (one, other) = (FakeS3::start().await, FakeS3::start().await);
    let (mut writer, first) = published(&one, &rows(3)).await;
    let (_, second) = published(&other, &rows(3)).await;
    let entry = |prepared: &Value| (prepared["uploads"][0]["key"].clone(), prepared["uploads"][0]["stamp"].clone());
    assert_eq!(entry(&first), entry(&second));
    writer.commit().await.expect("a commit");
    let state = one.state();
    let (key, object) = state.objects.first_key_value().expect("an object");
    assert!(key.starts_with("raw/1970/out-") && key.ends_with("-1-000000.jsonl"), "{key}");
    assert_eq!(Some(object.metadata.as_str()), first["uploads"][0]["stamp"].as_str());
}

/// What the checkpoint holds for the sink cannot be read: the job ends, and says so.
#[tokio::test]
async fn a_checkpoint_of_something_else() {
    let fake = FakeS3::start().await;
    let error = open(&fake, 2, &serde_json::json!({"open": null})).await.err().expect("it must not open");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.report().contains("s3 sink"), "{}", error.report());
}
