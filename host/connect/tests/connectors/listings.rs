//! What a checkpoint has made visible, as the `file` and `s3` sinks list it.

use crate::crash_suite::opening;
use crate::fake_s3::{Call, FakeS3, Object};
use crate::file::{names, to};
use crate::file_commits::{open, publish, write};
use crate::s3_commits::sink;
use crate::sink_suite::{self, batch, rows};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::tempdir;
use wasmill_stream::sink::{Cut, Opening, Withdrawal};

/// The names on all listings of a folder, in their order, each list as a set of its own.
fn listed(folder: &Path) -> Vec<Vec<String>> {
    let lists = folder.join("_manifests");
    let read = |name: String| {
        let text = fs::read_to_string(lists.join(name)).expect("a listing");
        let listing: Value = serde_json::from_str(&text).expect("a whole one");
        let files = listing["files"].as_array().expect("files").iter();
        files
            .map(|file| {
                let name = file["name"].as_str().expect("a name");
                let length = fs::metadata(folder.join(name)).map(|file| file.len());
                assert_eq!(length.ok(), file["bytes"].as_u64(), "{name} is there before it is listed");
                name.to_owned()
            })
            .collect()
    };
    if lists.exists() { names(&lists).into_iter().map(read).collect() } else { Vec::new() }
}

/// Commits with and without new files, a crash between commit and listing, a checkpoint that is taken back → each file is on one
/// listing, with the others of its checkpoint, and those that are taken back on none.
#[tokio::test]
async fn of_files() {
    for settings in ["roll_bytes = \"1B\"", "format = \"parquet\"\nprefix = \"n={n}/\""] {
        let settings = format!("manifests = true\n{settings}");
        let folder = tempdir().expect("a folder");
        let path = folder.path();
        let mut writer = open(path, &settings, 1, &Value::Null).await.expect("it opens");
        for row in rows(2) {
            write(&mut writer, &[row]).await;
            writer.flush().await.expect("a flush");
        }
        let first = writer.prepare(Cut::Running).await.expect("a checkpoint");
        assert_eq!(listed(path), Vec::<Vec<String>>::new());
        writer.commit().await.expect("a commit");
        let of = |prepared: &Value| {
            let finished = prepared["finished"].as_array().expect("files").iter();
            finished.map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of(&first).len(), 2);
        assert_eq!(listed(path), [of(&first)]);
        let empty = publish(&mut writer, &[], Cut::Running).await;
        assert!(empty["listing"].is_null());
        writer.commit().await.expect("a commit");
        let second = publish(&mut writer, &rows(1), Cut::Running).await;
        drop(writer);
        let mut writer = open(path, &settings, 2, &second).await.expect("it opens");
        assert_eq!(listed(path), [of(&first), of(&second)], "the next run has committed it");
        let third = publish(&mut writer, &rows(1), Cut::Running).await;
        writer.commit().await.expect("a commit");
        assert_eq!(listed(path).len(), 3);
        drop(writer);
        let withdrawal = Withdrawal { prepared: vec![third], entries: Vec::new() };
        let again = Opening { committed: true, withdrawal: Some(withdrawal), ..opening(3, &second) };
        to(path, &settings).open(again).await.expect("it opens");
        assert_eq!(listed(path), [of(&first), of(&second)]);
        let mut forged = second.clone();
        forged["listing"] = "_manifests/../../x.json".into();
        let error = open(path, &settings, 4, &forged).await.err().expect("it leads away");
        assert!(error.report().contains("calls a listing"), "{}", error.report());
    }
    let folder = tempdir().expect("a folder");
    let sink = to(folder.path(), "manifests = true");
    sink_suite::cannot_open(sink, &["no checkpoints", "[checkpoint]"]).await;
}

/// Commits with and without new objects, one whose listing is refused at first and one that the next run makes up for, and one that
/// is taken back → each object is on one listing, which comes after it.
#[tokio::test]
async fn of_objects() {
    let fake = FakeS3::start().await;
    let open = async |run, prepared: &Value| {
        let more = "prefix = \"raw/n={n}/\"\nmanifests = true";
        sink("lake", &fake.access(), more).open(opening(run, prepared)).await.expect("it opens")
    };
    let listed = || -> Vec<Vec<String>> {
        let state = fake.state();
        let lists =
            state.objects.iter().filter(|(key, _)| key.starts_with("raw/_manifests/") && key.ends_with(".json"));
        let read = |object: &Object| {
            let listing: Value = serde_json::from_slice(&object.bytes).expect("a whole one");
            let files = listing["files"].as_array().expect("files").iter();
            let name = |file: &Value| {
                let name = file["name"].as_str().expect("a name").to_owned();
                assert_eq!(state.objects.get(&name).map(|object| object.bytes.len() as u64), file["bytes"].as_u64());
                name
            };
            files.map(name).collect()
        };
        lists.map(|(_, object)| read(object)).collect()
    };
    let of = |prepared: &Value| {
        let uploads = prepared["uploads"].as_array().expect("uploads").iter();
        uploads.map(|upload| upload["key"].as_str().expect("a key").to_owned()).collect::<Vec<_>>()
    };
    let mut writer = open(1, &Value::Null).await;
    writer.write(batch(&rows(2))).await.expect("a write");
    let first = writer.prepare(Cut::Running).await.expect("a checkpoint");
    assert!(listed().is_empty());
    fake.next(Call::Put, false, Some((503, "SlowDown")));
    writer.commit().await.expect("a commit");
    assert_eq!((of(&first).len(), listed()), (2, vec![of(&first)]));
    let empty = writer.prepare(Cut::Running).await.expect("a checkpoint");
    assert!(empty["listing"].is_null());
    writer.commit().await.expect("a commit");
    writer.write(batch(&rows(1))).await.expect("a write");
    let second = writer.prepare(Cut::Running).await.expect("a checkpoint");
    drop(writer);
    let mut writer = open(2, &second).await;
    assert_eq!(listed(), [of(&first), of(&second)], "the next run has committed it");
    writer.write(batch(&rows(3))).await.expect("a write");
    let third = writer.prepare(Cut::Running).await.expect("a checkpoint");
    writer.commit().await.expect("a commit");
    assert_eq!(listed(), [of(&first), of(&second), of(&third)]);
    drop(writer);
    let withdrawal = Withdrawal { prepared: vec![third], entries: Vec::new() };
    let again = Opening { committed: true, withdrawal: Some(withdrawal), ..opening(3, &second) };
    let more = "prefix = \"raw/n={n}/\"\nmanifests = true";
    sink("lake", &fake.access(), more).open(again).await.expect("it opens");
    assert_eq!(listed(), [of(&first), of(&second)]);
    assert_eq!(fake.state().objects.len(), 3 + 2);
}
