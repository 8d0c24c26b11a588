//! The table `[trust]`: only components that one of its keys has signed are taken, at the start, by hand and by whoever
//! watches files, wherever they come from.

use crate::harness::http;
use crate::harness::kinesis::ACCESS;
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::registry::{Draft, PASSWORD, READER, Repository};
use crate::harness::server::{MOTO, OCI};
use crate::harness::stream::{Stream, job, replace, version};
use minisign::KeyPair;
use serde_json::json;
use std::fs;
use std::path::Path;

/// Somebody who signs.
struct Signer(KeyPair);

impl Signer {
    fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().expect("random numbers"))
    }

    /// The signature of some bytes, as minisign writes it to a file.
    fn sign(&self, bytes: &[u8]) -> String {
        minisign::sign(None, &self.0.sk, bytes, None, None).expect("it signs").into_string()
    }

    /// The table that trusts nobody else.
    fn trusted(&self) -> String {
        format!("[trust]\npublic_keys = [\"{}\"]\n", self.0.pk.to_base64())
    }
}

fn write(dir: &Path, plugin: &str, tables: &str) {
    fs::write(dir.join("job.toml"), format!("{}{tables}", job(&[("cents", plugin)]))).expect("it can be written");
}

fn check(dir: &Path, settings: &[&str]) -> (Option<i32>, String) {
    let (code, stdout, stderr) = output(wasmill(dir).args(["check", "job.toml"]).args(settings));
    (code, unwrapped(&(stdout + &stderr)))
}

/// A component that is signed, not signed, signed by somebody else, changed afterwards, with a file in the place of the
/// signature that is none, or a source folder → only the first is taken, and of each other it is said why.
#[test]
fn only_signed_components() {
    let (mine, other) = (Signer::new(), Signer::new());
    let dir = tempfile::tempdir().expect("a folder");
    let (good, changed) = (version("v0001"), version("v0002"));
    write(dir.path(), "p.wasm", &mine.trusted());
    for (component, signature, words) in [
        (&good, Some(mine.sign(&good)), None),
        (&good, None, Some("it is not signed: there is no ./p.wasm.minisig")),
        (&good, Some(other.sign(&good)), Some("a signature by none of the keys in [trust]")),
        (&changed, Some(mine.sign(&good)), Some("p.wasm.minisig is not a signature of these bytes")),
        (&good, Some("hello".to_owned()), Some("p.wasm.minisig is no signature of minisign")),
    ] {
        fs::write(dir.path().join("p.wasm"), component).expect("it can be written");
        let place = dir.path().join("p.wasm.minisig");
        let _ = fs::remove_file(&place);
        signature.iter().for_each(|signature| fs::write(&place, signature).expect("it can be written"));
        let (code, text) = check(dir.path(), &[]);
        match words {
            None => assert_eq!(code, Some(0), "{text}"),
            Some(words) => {
                let words = words.replace("./", "");
                assert!(code == Some(2) && text.contains("step cents: ") && text.contains(&words), "{words}: {text}");
            }
        }
    }
    fs::create_dir(dir.path().join("source")).expect("created");
    write(dir.path(), "source", &mine.trusted());
    let (code, text) = check(dir.path(), &[]);
    assert!(code == Some(2) && text.contains("a folder of sources, which nobody can sign"), "{text}");
    write(dir.path(), "p.wasm", "[trust]\npublic_keys = [\"RWQ\"]\n");
    let (code, text) = check(dir.path(), &[]);
    assert!(code == Some(2) && text.contains("\"RWQ\" is no public key of minisign"), "{text}");
}

/// A running job whose component is replaced by one without a signature, by hand and by a file → refused; then its signature
/// comes → it takes over.
#[test]
fn only_signed_versions_take_over() {
    let signer = Signer::new();
    let dir = tempfile::tempdir().expect("a folder");
    let (first, second) = (version("v0001"), version("v0002"));
    fs::write(dir.path().join("p.wasm"), &first).expect("it can be written");
    fs::write(dir.path().join("p.wasm.minisig"), signer.sign(&first)).expect("it can be written");
    fs::write(dir.path().join("q.wasm"), &second).expect("it can be written");
    write(dir.path(), "p.wasm", &signer.trusted());
    let mut stream = Stream::run(dir.path(), &["--watch"]);
    stream.assert_runs("v0001", 1);
    let (code, stdout, stderr) = output(wasmill(dir.path()).args(["swap", "job.toml", "cents", "q.wasm"]));
    assert!(code == Some(2) && stderr.contains("it is not signed"), "{stdout}{stderr}");
    replace(&dir.path().join("p.wasm"), &second);
    stream.says("watch: step cents: ");
    stream.says("p.wasm.minisig is not a signature of these bytes");
    stream.assert_runs("v0001", 1);
    replace(&dir.path().join("p.wasm.minisig"), signer.sign(&second).as_bytes());
    stream.says("stood still for");
    stream.assert_runs("v0002", 1);
    stream.end(&["cents"]);
}

/// Components in a bucket and in a registry, each signed and not → the signed ones are taken: an object beside the first, an
/// annotation of the second.
#[test]
fn signatures_that_are_fetched() {
    let (Some(s3), Some(oci)) = (MOTO.url(), OCI.url()) else { return };
    let signer = Signer::new();
    let good = version("v0001");
    assert_eq!(http::send("PUT", &format!("{s3}/signed"), "").0, 200);
    for (key, bytes) in
        [("good.wasm", &good[..]), ("good.wasm.minisig", signer.sign(&good).as_bytes()), ("bare.wasm", &good[..])]
    {
        assert_eq!(http::send_with("PUT", &format!("{s3}/signed/{key}"), &[], bytes).0, 200, "{key}");
    }
    let repository = Repository { url: oci, name: "team/signed" };
    let annotations = json!({"wasmill.minisig": signer.sign(&good)});
    let signed = repository.push("signed", &Draft { annotations, ..Draft::component(&good) });
    let bare = repository.push("bare", &Draft::component(&good));
    let dir = tempfile::tempdir().expect("a folder");
    let tables = format!("[components.s3]\nendpoint = \"{s3}\"\n{ACCESS}\n{READER}{}", signer.trusted());
    let annotated = "there is no annotation wasmill.minisig in its manifest";
    for (plugin, words) in [
        ("s3://signed/good.wasm".to_owned(), None),
        ("s3://signed/bare.wasm".to_owned(), Some("there is no s3://signed/bare.wasm.minisig")),
        (repository.reference(&signed), None),
        (repository.reference(&bare), Some(annotated)),
    ] {
        write(dir.path(), &plugin, &tables);
        let password = format!("PASSWORD={PASSWORD}");
        let (code, text) = check(dir.path(), &["--set", "KEY=test", "--set", &password]);
        match words {
            None => assert_eq!(code, Some(0), "{plugin}: {text}"),
            Some(words) => assert!(code == Some(2) && text.contains(words), "{plugin}: {text}"),
        }
    }
}
