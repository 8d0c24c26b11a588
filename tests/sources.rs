//! Components that lie on no path: in a bucket of S3, and in an OCI registry. What comes is what was asked for, or it is
//! refused with the step, the reference, and what to do.

use crate::harness::http;
use crate::harness::kinesis::ACCESS;
use crate::harness::loopback::{self, Reply};
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::registry::{Draft, PASSWORD, READER, Repository, sha256};
use crate::harness::server::{MOTO, OCI};
use crate::harness::stream::{Stream, job, version};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Writes a job of one step with this plugin and more tables.
fn write(dir: &Path, plugin: &str, tables: &str) {
    fs::write(dir.join("job.toml"), format!("{}{tables}", job(&[("cents", plugin)]))).expect("it can be written");
}

/// `wasmill check`, with a cache of its own. Returns its exit code and words.
fn check(dir: &Path, settings: &[&str]) -> (Option<i32>, String) {
    let (code, stdout, stderr) = output(checking(dir).args(settings));
    (code, unwrapped(&(stdout + &stderr)))
}

fn checking(dir: &Path) -> Command {
    let mut command = wasmill(dir);
    command.args(["check", "job.toml"]).env("XDG_CACHE_HOME", dir.join("cache"));
    command
}

/// A plugin in a bucket → it runs, and another one of the bucket takes over by hand. One that is not there, one that is too
/// large, and a bucket that is none → refused with the step and the key.
#[test]
fn buckets() {
    let Some(url) = MOTO.url() else { return };
    let put = |key: &str, bytes: &[u8]| {
        assert_eq!(http::send_with("PUT", &format!("{url}/components/{key}"), &[], bytes).0, 200, "{key}");
    };
    assert_eq!(http::send("PUT", &format!("{url}/components"), "").0, 200);
    put("cents/1.wasm", &version("v0001"));
    put("cents/2.wasm", &version("v0002"));
    put("large.wasm", &vec![0; (32 << 20) + 1]);
    let dir = tempfile::tempdir().expect("a folder");
    let tables = format!("[components.s3]\nendpoint = \"{url}\"\n{ACCESS}\n");
    write(dir.path(), "s3://components/cents/1.wasm", &tables);
    let mut stream = Stream::run(dir.path(), &["--set", "KEY=test"]);
    stream.assert_runs("v0001", 1);
    let swap = |plugin: &str| output(wasmill(dir.path()).args(["swap", "job.toml", "cents", plugin]));
    let (code, stdout, stderr) = swap("s3://components/cents/2.wasm");
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    stream.assert_runs("v0002", 1);
    let (code, stdout, stderr) = swap("s3://components/cents/3.wasm");
    assert!(code == Some(2) && stderr.contains("there is no object cents/3.wasm"), "{stdout}{stderr}");
    stream.assert_runs("v0002", 1);
    stream.end(&["cents"]);
    for (plugin, words) in [
        ("s3://components/large.wasm", "large.wasm has 33554433 bytes, at most 33554432 are possible"),
        ("s3://nowhere/1.wasm", "NoSuchBucket"),
        ("s3://components", "step cents: `plugin`: s3://components: expected s3://BUCKET/KEY"),
    ] {
        write(dir.path(), plugin, &tables);
        let (code, text) = check(dir.path(), &["--set", "KEY=test"]);
        assert!(code == Some(2) && text.contains("step cents: ") && text.contains(words), "{plugin}: {text}");
    }
}

/// A plugin in a registry, pinned by its digest → it runs, and another one takes over by hand. What was fetched once is not
/// asked for again, unless what was kept of it is damaged.
#[test]
fn registries() {
    let Some(url) = OCI.url() else { return };
    let repository = Repository { url, name: "team/cents" };
    let first = repository.push("1", &Draft::component(&version("v0001")));
    let second = repository.push("2", &Draft::component(&version("v0002")));
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), &repository.reference(&first), READER);
    let password = format!("PASSWORD={PASSWORD}");
    let mut stream = Stream::run(dir.path(), &["--set", &password]);
    stream.assert_runs("v0001", 1);
    let reference = repository.reference(&second);
    let (code, stdout, stderr) = output(wasmill(dir.path()).args(["swap", "job.toml", "cents", &reference]));
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    stream.assert_runs("v0002", 1);
    stream.end(&["cents"]);

    let (code, text) = check(dir.path(), &["--set", &password]);
    assert_eq!(code, Some(0), "{text}");
    // Whoever asks with this password is refused: so nobody is asked.
    let (code, text) = check(dir.path(), &["--set", "PASSWORD=wrong"]);
    assert_eq!(code, Some(0), "{text}");
    let kept = dir.path().join("cache/wasmill/components").join(sha256(&version("v0001")).replace(':', "-"));
    let mut bytes = fs::read(&kept).expect("it was kept by its digest");
    bytes[100] ^= 1;
    fs::write(&kept, bytes).expect("it can be written");
    let (code, text) = check(dir.path(), &["--set", "PASSWORD=wrong"]);
    assert!(code == Some(2) && text.contains("set `username` and `password`"), "{text}");
    let (code, text) = check(dir.path(), &["--set", &password]);
    assert_eq!(code, Some(0), "{text}");
}

/// A tag without a digest, a digest that is not there, nobody's name, and artifacts that are none of ours → each refused with
/// the step and the reason; of a tag it is said what it points to now.
#[test]
fn registries_refuse() {
    let Some(url) = OCI.url() else { return };
    let repository = Repository { url, name: "team/refused" };
    let component = version("v0001");
    let digest = repository.push("1.0", &Draft::component(&component));
    let text = ("text/plain", &b"hello"[..]);
    let wasm = ("application/wasm", &component[..]);
    let other = repository.push("other", &Draft { layers: vec![text], annotations: json!({}) });
    let two = repository.push("two", &Draft { layers: vec![wasm, text], annotations: json!({}) });
    let none = format!("sha256:{}", "0".repeat(64));
    let dir = tempfile::tempdir().expect("a folder");
    let place = repository.place();
    let pinned = format!("it is {digest} now: write {place}@{digest}");
    for (plugin, words) in [
        (format!("{place}:1.0"), pinned.as_str()),
        (place.clone(), "no such artifact"),
        (repository.reference(&none), "no such artifact"),
        (repository.reference(&other), "its layer has the type text/plain, expected application/wasm"),
        (repository.reference(&two), "it has 2 layers, expected one of the type application/wasm"),
        (format!("{place}@sha256:12"), "is no digest: expected sha256: and 64 hexadecimal digits"),
    ] {
        write(dir.path(), &plugin, READER);
        let (code, text) = check(dir.path(), &["--set", &format!("PASSWORD={PASSWORD}")]);
        assert!(code == Some(2) && text.contains("step cents: ") && text.contains(words), "{plugin}: {text}");
    }
    write(dir.path(), &repository.reference(&digest), "");
    let (code, text) = check(dir.path(), &[]);
    assert!(code == Some(2) && text.contains("set `username` and `password` in the table [components.oci]"), "{text}");
}

/// A registry that gives a manifest, or a component, with other bytes than its digest says → refused.
#[test]
fn registries_that_lie() {
    let component = version("v0001");
    let layer = json!({"mediaType": "application/wasm", "digest": sha256(&component), "size": component.len()});
    let config = json!({"mediaType": "application/vnd.wasm.config.v0+json", "digest": sha256(b"{}"), "size": 2});
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string();
    let digest = sha256(manifest.as_bytes());
    for lies_about in ["manifests", "blobs", "nothing"] {
        let (manifest, component) = (manifest.clone(), component.clone());
        let url = loopback::serve(move |request| {
            let mut body = match request.target.contains("manifests") {
                true => manifest.clone().into_bytes(),
                false if request.target.contains("blobs") => component.clone(),
                false => b"{}".to_vec(),
            };
            if request.target.contains(lies_about) {
                let last = body.len() - 1;
                body[last] ^= 1;
            }
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n";
            Reply::Last([format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes(), body].concat())
        });
        let dir = tempfile::tempdir().expect("a folder");
        write(dir.path(), &Repository { url: &url, name: "lies" }.reference(&digest), "");
        let (code, text) = check(dir.path(), &[]);
        match lies_about {
            "nothing" => assert_eq!(code, Some(0), "{text}"),
            _ => assert!(code == Some(2) && text.to_lowercase().contains("digest"), "{lies_about}: {text}"),
        }
    }
}
