//! Places for checkpoints: a folder, a fake S3 that fails by script, and moto. Crashes in the middle of a write are tested
//! beside the code.

use crate::fake_s3::{Call, FakeS3, access};
use crate::harness::store_place;
use crate::moto::Moto;
use crate::store_suite::{keeps_its_promises, one_creator_wins, patiently};
use bytes::Bytes;
use std::fs;
use std::sync::Arc;
use tempfile::tempdir;
use wasmill_connect::checkpoint_store::StorePlace;
use wasmill_stream::ErrorKind;
use wasmill_stream::checkpoint::{Created, Store};

async fn open(settings: &str) -> Arc<dyn Store> {
    store_place(settings).expect("good settings").open().await.expect("it opens")
}

async fn open_fake(fake: &FakeS3) -> Arc<dyn Store> {
    open(&format!("to = \"s3://lake/jobs/taxi\"\n{}", fake.access())).await
}

/// A folder that was not there does all that a store must do, and nothing is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn folder() {
    let root = tempdir().expect("a folder");
    let path = root.path().join("deep/checkpoints");
    let store = open(&format!("to = {path:?}")).await;
    assert_eq!(store.place(), path.display().to_string());
    keeps_its_promises(store.clone()).await;
    one_creator_wins(store).await;
    let files = fs::read_dir(&path).expect("a folder").filter(|entry| entry.as_ref().is_ok_and(|e| e.path().is_file()));
    assert_eq!(files.count(), 0, "no left-overs");
    let again = StorePlace::folder(&path).open().await.expect("it opens again");
    assert_eq!(again.list("race/").await.expect("a list").len(), 8);
}

/// A folder where a file stands cannot be opened, and the message names it.
#[tokio::test]
async fn no_folder() {
    let root = tempdir().expect("a folder");
    let file = root.path().join("file");
    fs::write(&file, "").expect("a file");
    let error = StorePlace::folder(file.join("checkpoints")).open().await.err().expect("no folder there");
    assert!(error.report().contains("file/checkpoints"), "{}", error.report());
}

/// A prefix of a bucket does all that a store must do, although a fifth of all writes get no answer; what is beside the
/// prefix stays out of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bucket() {
    let fake = FakeS3::start().await;
    for key in ["jobs/taxi2/a", "jobs/taxi", "a"] {
        fake.state().objects.insert(key.to_owned(), Default::default());
    }
    let store = open_fake(&fake).await;
    assert!(store.place().starts_with("s3://lake/jobs/taxi ("), "{}", store.place());
    fake.state().lost_percent = 20;
    keeps_its_promises(store.clone()).await;
    one_creator_wins(store).await;
    let state = fake.state();
    assert!(state.objects.keys().any(|key| key == "jobs/taxi/race/7"), "{:?}", state.objects.keys());
    assert!(["jobs/taxi2/a", "jobs/taxi", "a"].iter().all(|key| state.objects.contains_key(*key)));
}

/// A server by others keeps the same promises, with and without a prefix, but for creators that come at the same moment: it
/// looks and writes in two steps.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moto() {
    let Some(moto) = Moto::start() else { return };
    let access = access(&moto.address).replace("300ms", "10s");
    keeps_its_promises(open(&format!("to = \"s3://{}/jobs/taxi\"\n{access}", moto.bucket)).await).await;
    let keys = moto.list("?list-type=2", "Key");
    assert!(keys.iter().all(|key| key.starts_with("jobs/taxi/")), "{keys:?}");
    let Some(other) = Moto::start() else { return };
    keeps_its_promises(open(&format!("to = \"s3://{}\"\n{access}", other.bucket)).await).await;
}

/// Whatever is answered to a creation, or nothing, what is stored decides who has the name.
#[tokio::test]
async fn unclear_answers() {
    let fake = FakeS3::start().await;
    let store = open_fake(&fake).await;
    let (mine, yours) = (Bytes::from_static(b"mine"), Bytes::from_static(b"yours"));
    let answers =
        [None, Some((500, "InternalError")), Some((503, "SlowDown")), Some((409, "ConditionalRequestConflict"))];
    for (number, answer) in answers.into_iter().enumerate() {
        let name = format!("applied/{number}");
        fake.next(Call::Put, true, answer);
        assert_eq!(store.create(&name, mine.clone()).await.expect("read back"), Created::New, "{answer:?}");
        fake.next(Call::Put, true, answer);
        assert_eq!(store.create(&name, yours.clone()).await.expect("read back"), Created::Taken, "{answer:?}");

        let name = format!("refused/{number}");
        fake.next(Call::Put, false, answer);
        let error = store.create(&name, mine.clone()).await.expect_err("nothing is there");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.report());
        assert_eq!(store.create(&name, mine.clone()).await.expect("a second try"), Created::New);
    }
}

/// When reading back fails too nothing is known, and the next try finds out.
#[tokio::test]
async fn nothing_is_known() {
    let fake = FakeS3::start().await;
    let store = open_fake(&fake).await;
    fake.next(Call::Put, true, None);
    fake.next(Call::Get, false, Some((503, "SlowDown")));
    let error = store.create("m", Bytes::from_static(b"mine")).await.expect_err("no answer at all");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(store.create("m", Bytes::from_static(b"mine")).await.expect("the next try"), Created::New);
}

/// Bytes that are damaged on their way are refused, and are sent again.
#[tokio::test]
async fn damaged_on_the_way() {
    let fake = FakeS3::start().await;
    let store = open_fake(&fake).await;
    fake.state().flips = 1;
    let error = store.create("m", Bytes::from_static(b"mine")).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.report());
    assert_eq!(store.get("m").await.expect("an answer"), None);
    patiently(|| store.put("m", Bytes::from_static(b"mine"))).await;
    assert_eq!(store.get("m").await.expect("an answer").as_deref(), Some(&b"mine"[..]));
}

/// Errors say whether time may cure them, and name bucket and key.
#[tokio::test]
async fn failures_have_kinds() {
    let fake = FakeS3::start().await;
    let store = open_fake(&fake).await;
    let cases = [
        (503, "SlowDown", ErrorKind::Unavailable),
        (400, "RequestTimeout", ErrorKind::Unavailable),
        (403, "AccessDenied", ErrorKind::Denied),
        (404, "NoSuchBucket", ErrorKind::Invalid),
        (400, "InvalidRequest", ErrorKind::Invalid),
    ];
    for (status, code, kind) in cases {
        for call in [Call::Put, Call::Get, Call::List, Call::Delete] {
            fake.next(call, false, Some((status, code)));
        }
        let errors = [
            store.put("m", Bytes::new()).await.err(),
            store.get("m").await.err(),
            store.list("").await.err(),
            store.delete("m").await.err(),
        ];
        for error in errors {
            let error = error.unwrap_or_else(|| panic!("{code} is a failure"));
            assert_eq!(error.kind(), kind, "{}", error.report());
            assert!(error.report().contains("lake") && error.report().contains("jobs/taxi"), "{}", error.report());
        }
    }
}

/// A server that overlooks conditions is refused at start: two hosts could both believe that they own a job.
#[tokio::test]
async fn conditions_must_count() {
    let fake = FakeS3::start().await;
    fake.state().ignores_conditions = true;
    let settings = format!("to = \"s3://lake/jobs\"\n{}", fake.access());
    let error = store_place(&settings).expect("good settings").open().await.err().expect("not safe");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.report().contains("If-None-Match"), "{}", error.report());
    fake.state().ignores_conditions = false;
    fake.next(Call::Put, true, None);
    let store =
        store_place(&settings).expect("good settings").open().await.expect("an answer is lost, and that is all");
    patiently(|| store.put("m", Bytes::new())).await;
}

/// A server that answers every conditional put with a failure of its own → it has not shown that it keeps conditions, and is
/// not used.
#[tokio::test]
async fn a_failure_is_no_proof() {
    let fake = FakeS3::start().await;
    let settings = format!("to = \"s3://lake/jobs\"\n{}", fake.access());
    for answer in [(501, "NotImplemented"), (503, "SlowDown")] {
        fake.state().conditional = Some(answer);
        let error = store_place(&settings).expect("good settings").open().await.err().expect("nothing is proved");
        let report = error.report();
        assert!(report.contains("on the condition that it is not there") && report.contains(answer.1), "{report}");
    }
}

/// What is no place is found, with what else is wrong.
#[test]
fn settings() {
    let problems = |settings: &str| {
        let problems = store_place(settings).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    assert!(problems("to = \"s3://lake/a/b\"\nregion = \"eu-west-1\"").is_empty());
    assert!(problems("to = \"s3://lake\"").is_empty());
    assert!(problems("to = \"../checkpoints\"").is_empty());
    for to in ["", "s3://", "s3:///x", "s3://lake/a//b", "https://lake/x"] {
        let found = problems(&format!("to = \"{to}\""));
        assert!(found.len() == 1 && found[0].contains("`to`"), "{to}: {found:?}");
    }
    assert!(problems("").is_empty(), "there is a default");
    let found = problems("to = \"folder\"\nendpoint = \"http://x\"");
    assert!(found.len() == 1 && found[0].contains("endpoint"), "not for a folder: {found:?}");
    assert_eq!(problems("to = \"s3://lake\"\nendpoint = \"x\"\naccess_key_id = \"plain\"").len(), 3);
}
