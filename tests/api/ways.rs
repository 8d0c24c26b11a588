//! The ways into a host: loopback, a Unix socket, TLS; and who does not get in by any.

use crate::harness::client::Caller;
use crate::harness::fleet::Fleet;
use crate::harness::patience::until;
use crate::harness::program::{output, unwrapped, wasmill};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A new certificate of this machine's loopback, in a folder. Returns it as PEM.
pub(super) fn certify(folder: &Path) -> String {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let write = |name: &str, text: &str| {
        // Whole at once, as tools do that renew certificates.
        let draft = folder.join("draft");
        fs::write(&draft, text).expect("it can be written");
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)).expect("it is ours");
        fs::rename(draft, folder.join(name)).expect("it can be renamed");
    };
    write("key.pem", &made.signing_key.serialize_pem());
    write("cert.pem", &made.cert.pem());
    made.cert.pem()
}

pub(super) const TLS: &str = "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";

/// An address that other machines can reach, without TLS, without tokens, without both; a key that others may read, or of another
/// certificate → the host does not start and says what is missing.
#[test]
fn nothing_is_open_by_mistake() {
    let fleet = Fleet::new();
    let refused = |words: &str| {
        let (code, _, said) = output(wasmill(fleet.path()).args(["serve", ".", "--listen", "0.0.0.0:0"]));
        let said = unwrapped(&said);
        assert!(code == Some(2) && said.contains(words), "{words}: {said}");
    };
    let settings = fleet.path().join("host.toml");
    refused("0.0.0.0:0 can be reached from other machines: the host needs TLS and tokens");
    certify(fleet.path());
    fs::write(&settings, TLS).expect("it can be written");
    refused("the host needs tokens");
    fs::write(fleet.path().join("tokens.toml"), "").expect("it can be written");
    fs::set_permissions(fleet.path().join("tokens.toml"), fs::Permissions::from_mode(0o600)).expect("it is ours");
    refused("the host needs tokens");
    fleet.token("a", &["--verb", "read"]);
    fs::write(&settings, "").expect("it can be written");
    refused("the host needs TLS");
    fs::write(&settings, TLS).expect("it can be written");
    let key = fleet.path().join("key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("it is ours");
    refused("key.pem is open to other users");
    let other = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    fs::write(&key, &other).expect("it can be written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is ours");
    refused("do not fit together");
    fs::write(&key, other.replace("BEGIN", "BEGUN")).expect("it can be written");
    refused("key.pem holds no private key as PEM");
}

/// TLS: clients that trust the certificate are heard, others and those without TLS are not; a new certificate is shown to the next
/// connection; files that are wrong change nothing. When the last token goes, nobody is heard.
#[test]
fn tls() {
    let fleet = Fleet::new();
    let first = certify(fleet.path());
    fs::write(fleet.path().join("host.toml"), format!("listen = \"0.0.0.0:0\"\n{TLS}")).expect("it can be written");
    let token = fleet.token("a", &["--verb", "read"]);
    let serving = fleet.start_as(wasmill(fleet.path()).args(["serve", "."]));
    let url = serving.url("").replace("0.0.0.0", "127.0.0.1");
    let jobs = |certificate: &str| Caller::over_tls(&url, certificate).ask(Some(&token), "GET", "/api/v1/jobs");
    assert_eq!(jobs(&first), Ok((200, "[]".to_owned())));
    assert_eq!(Caller::over_tls(&url, &first).ask(None, "GET", "/api/v1/jobs").map(|(status, _)| status), Ok(401));
    let mut plain = TcpStream::connect(url.trim_start_matches("https://")).expect("it listens");
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    // An alert, or a reset.
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");

    let second = certify(fleet.path());
    assert_eq!(jobs(&second), Ok((200, "[]".to_owned())));
    let error = jobs(&first).expect_err("it is not shown any more");
    assert!(error.contains("certificate") || error.contains("BadSignature"), "{error}");
    fs::write(fleet.path().join("cert.pem"), "no certificate").expect("it can be written");
    assert_eq!(jobs(&second), Ok((200, "[]".to_owned())));
    until("the problem", || serving.log().contains("the certificate stays the one before").then_some(()));
    fs::remove_file(fleet.path().join("tokens.toml")).expect("it is there");
    assert_eq!(jobs(&second).map(|(status, _)| status), Ok(401));
    serving.stop().well();
}

/// A Unix socket: its user's alone, whatever the request calls the host; gone with the host. The audit log knows the user.
#[test]
fn socket() {
    let fleet = Fleet::new();
    fs::write(fleet.path().join("host.toml"), "listen = \"unix:api.sock\"\n").expect("it can be written");
    let serving = fleet.start_as(wasmill(fleet.path()).args(["serve", "."]));
    let path = fleet.path().join("api.sock");
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    let caller = Caller::through(&path);
    assert_eq!(caller.ask(None, "GET", "/api/v1/jobs"), Ok((200, "[]".to_owned())));
    assert_eq!(caller.ask(None, "POST", "/api/v1/jobs/none/pause").map(|(status, _)| status), Ok(404));
    let audit = fs::read_to_string(fleet.path().join("audit.jsonl")).expect("it is there");
    assert!(audit.contains("\"who\":\"uid ") && audit.lines().count() == 1, "{audit}");
    serving.stop().well();
    assert!(!path.exists());
}

/// Clients that ask too often, send too much, or say nothing → told so, or cut off; others are heard meanwhile.
#[test]
fn clients_that_are_a_burden() {
    let fleet = Fleet::new();
    let settings = "[api]\nconnections = 3\nrequests_per_second = 5\n";
    fs::write(fleet.path().join("host.toml"), settings).expect("it can be written");
    let [busy, calm] = ["busy", "calm"].map(|name| fleet.token(name, &["--verb", "read", "--verb", "deploy"]));
    let serving = fleet.start();
    let status = |token: &str| serving.ask_as(Some(token), "GET", "/api/v1/jobs", "").0;
    until("too many requests", || (status(&busy) == 429).then_some(()));
    assert_eq!(status(&calm), 200, "it has a bucket of its own");
    let long = "#".repeat((1 << 20) + 1);
    let (refused, text) = serving.ask_as(Some(&calm), "PUT", "/api/v1/jobs/a", &long);
    assert!(refused == 413 && text.contains("1048576 bytes"), "{refused} {text}");
    // As many as are let in, all of them silent: each is cut off after a while, and then others are heard.
    let address = serving.url("").replace("http://", "");
    let silent: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(&address).expect("it listens")).collect();
    for mut stream in silent {
        let mut answer = Vec::new();
        // Whatever it says, it ends.
        let _ = stream.read_to_end(&mut answer);
    }
    until("that others are heard", || (status(&calm) == 200).then_some(()));
    serving.stop().well();
}
