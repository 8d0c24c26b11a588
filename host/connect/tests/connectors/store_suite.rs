//! What every place for checkpoints must do.

use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;
use wasmill_stream::checkpoint::{Created, Store};
use wasmill_stream::{ErrorKind, Result};

/// Tries again what may work the next time, as the engine does.
pub async fn patiently<T, F: Future<Output = Result<T>>>(mut act: impl FnMut() -> F) -> T {
    for _ in 0..1000 {
        match act().await {
            Ok(done) => return done,
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            Err(error) => panic!("{}", error.report()),
        }
    }
    panic!("a thousand tries and no answer");
}

/// Everything below.
pub async fn keeps_its_promises(store: Arc<dyn Store>) {
    keeps_objects(&*store).await;
    refuses_names(&*store).await;
    creates_once(&*store).await;
}

async fn put(store: &dyn Store, name: &str, bytes: &'static [u8]) {
    patiently(|| store.put(name, Bytes::from_static(bytes))).await;
}

async fn get(store: &dyn Store, name: &str) -> Option<Bytes> {
    patiently(|| store.get(name)).await
}

async fn list(store: &dyn Store, prefix: &str) -> Vec<String> {
    patiently(|| store.list(prefix)).await
}

/// Objects are what was put last, are listed in the order of their bytes, and are gone when they are deleted.
async fn keeps_objects(store: &dyn Store) {
    assert_eq!(get(store, "a/b").await, None);
    assert!(list(store, "").await.is_empty());
    put(store, "a/b", b"\x00\xff\r\n").await;
    put(store, "a/b", b"second").await;
    put(store, "a-b", b"").await;
    put(store, "a/c/d.e", b"deep").await;
    put(store, "ab", b"x").await;
    assert_eq!(get(store, "a/b").await.as_deref(), Some(&b"second"[..]));
    assert_eq!(get(store, "a-b").await.as_deref(), Some(&b""[..]));
    assert_eq!(get(store, "a").await, None, "what has objects below it is none itself");
    let large = Bytes::from((0..3_000_000u32).map(|n| (n % 251) as u8).collect::<Vec<_>>());
    patiently(|| store.put("large", large.clone())).await;
    assert!(get(store, "large").await == Some(large), "three million bytes come back");
    assert_eq!(list(store, "").await, ["a-b", "a/b", "a/c/d.e", "ab", "large"]);
    assert_eq!(list(store, "a").await, ["a-b", "a/b", "a/c/d.e", "ab"]);
    assert_eq!(list(store, "a/").await, ["a/b", "a/c/d.e"]);
    assert_eq!(list(store, "a/c/d").await, ["a/c/d.e"]);
    assert!(list(store, "a/x/").await.is_empty());
    for name in ["a-b", "a/b", "a/c/d.e", "ab", "large", "never"] {
        patiently(|| store.delete(name)).await;
        patiently(|| store.delete(name)).await;
    }
    assert!(list(store, "").await.is_empty());
}

/// A name that could lead elsewhere is refused by every method.
async fn refuses_names(store: &dyn Store) {
    for name in ["../x", "/x", "x/../y", ".x", "", "X"] {
        let errors = [
            store.put(name, Bytes::new()).await.err(),
            store.create(name, Bytes::new()).await.err(),
            store.get(name).await.err(),
            store.delete(name).await.err(),
        ];
        let refused = |error: &Option<_>| matches!(error, Some(error) if wasmill_stream::Error::kind(error) == ErrorKind::Invalid);
        assert!(errors.iter().all(refused), "{name}: {errors:?}");
    }
    assert!(store.list("../").await.is_err());
}

/// A free name is taken once; the same bytes are ours again, others change nothing.
async fn creates_once(store: &dyn Store) {
    let create = |bytes: &'static [u8]| patiently(move || store.create("m/1", Bytes::from_static(bytes)));
    assert_eq!(create(b"mine").await, Created::New);
    assert_eq!(create(b"mine").await, Created::New);
    assert_eq!(create(b"yours").await, Created::Taken);
    assert_eq!(get(store, "m/1").await.as_deref(), Some(&b"mine"[..]));
    patiently(|| store.delete("m/1")).await;
    assert_eq!(create(b"yours").await, Created::New);
    patiently(|| store.delete("m/1")).await;
}

/// Of many that take a name at the same time one is told so, and the object is its own.
pub async fn one_creator_wins(store: Arc<dyn Store>) {
    for round in 0..8 {
        let name = format!("race/{round}");
        let creators: Vec<_> = (0..16)
            .map(|creator| {
                let (store, name) = (store.clone(), name.clone());
                let bytes = Bytes::from(format!("creator {creator}"));
                tokio::spawn(async move {
                    let created = patiently(|| store.create(&name, bytes.clone())).await;
                    (created, bytes)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for creator in creators {
            let (created, bytes) = creator.await.expect("no panic");
            winners.extend((created == Created::New).then_some(bytes));
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(get(&*store, &name).await.as_ref(), winners.first());
    }
}
