//! Components out of a registry that does not do what it should. A registry that does is met by the tests of whole jobs.

use crate::http::{Reply, Server};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmill_connect::component_store::{FetchSettings, Fetched, Reference, Wanted};
use wasmill_stream::access::Anything;
use wasmill_stream::{ErrorKind, Result};

const COMPONENT: &str = "this could be a component";

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A manifest whose one layer is the component.
fn manifest() -> String {
    let described = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": sha256(bytes), "size": bytes.len()});
    json!({"schemaVersion": 2, "config": described("application/vnd.wasm.config.v0+json", b"{}"),
        "layers": [described("application/wasm", COMPONENT.as_bytes())]})
    .to_string()
}

async fn fetch(registry: &Server, manifest: &str) -> Result<Fetched> {
    let host = registry.address.trim_start_matches("http://");
    let reference = Reference::parse(&format!("oci://{host}/team/cents@{}", sha256(manifest.as_bytes())));
    let reference = reference.expect("a scheme").expect("an address");
    FetchSettings::within(&Anything).fetch(&reference, None, Wanted { most: 1 << 20, signature: false }).await
}

/// Manifest and component break off in the middle, then come whole → they are fetched again.
#[tokio::test]
async fn downloads_that_break_off() {
    let asked = [const { AtomicUsize::new(0) }; 2];
    let registry = Server::start(move |request| {
        let (body, asked) = match request.target.as_str() {
            target if target.contains("/manifests/") => (manifest(), &asked[0]),
            target if target.contains("/blobs/") => (COMPONENT.to_owned(), &asked[1]),
            _ => return Reply::Full(200, "{}".to_owned()),
        };
        match asked.fetch_add(1, Relaxed) {
            0 => Reply::Cut(200, body, 9),
            _ => Reply::Full(200, body),
        }
    })
    .await;
    let fetched = fetch(&registry, &manifest()).await.expect("the second try");
    assert_eq!(fetched.component, COMPONENT);
}

/// A manifest that is longer than any, with the digest that was asked for → refused, with what is possible.
#[tokio::test]
async fn a_manifest_that_is_too_long() {
    let long = manifest() + &" ".repeat(4 << 20);
    let sent = long.clone();
    let registry = Server::start(move |request| match request.target.contains("/manifests/") {
        true => Reply::Full(200, sent.clone()),
        false => Reply::Full(200, "{}".to_owned()),
    })
    .await;
    let error = fetch(&registry, &long).await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.report().contains("get its manifest: more than 4194304 bytes came"), "{}", error.report());
}
