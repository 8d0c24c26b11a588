//! Secrets of every kind that a host comes by, and every place where they could turn up.

use super::ways::{TLS, certify};
use crate::harness::client::Caller;
use crate::harness::fleet::Fleet;
use crate::harness::loopback::{Reply, serve};
use crate::harness::patience::until;
use crate::harness::program::{output, wasmill};
use crate::harness::report;
use crate::harness::strangers::{IDENTITY, copy, settle};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Secrets by what they are.
struct Canaries(Vec<(String, String)>);

impl Canaries {
    /// A new one, as long as keys are.
    fn add(&mut self, what: &str) -> String {
        let secret = format!("Canary{:02}x{}", self.0.len(), "Yellow".repeat(4));
        self.know(what, &secret);
        secret
    }

    fn know(&mut self, what: &str, secret: &str) {
        self.0.push((what.to_owned(), secret.to_owned()));
    }

    /// Which of them are in a text, each with what is around it.
    fn found(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(bytes);
        let found = self.0.iter().filter_map(|(what, secret)| {
            let before: String = text.split_once(secret.as_str())?.0.chars().rev().take(200).collect();
            Some(format!("{what} in {place}, behind {}", before.chars().rev().collect::<String>()))
        });
        found.collect()
    }
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// What HTTP makes of a name and a password.
fn basic(user: &str, password: &str) -> String {
    use std::fmt::Write;
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{user}:{password}");
    text.as_bytes().chunks(3).fold(String::new(), |mut coded, three| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[(bits >> (18 - 6 * place) & 63) as usize]);
            let _ = write!(coded, "{}", if place <= three.len() { letter } else { '=' });
        }
        coded
    })
}

/// A host with thirty secrets: tokens, the key of its certificate, passwords and keys of sinks and sources, from `--set`, from the
/// environment and from files of a tenant, all of them in use, some with servers that refuse them → none of them is in the log at
/// its most talkative, in answers, metrics, the audit log, checkpoints, or any file but its own.
#[test]
fn no_canary_sings() {
    let mut canaries = Canaries(Vec::new());
    let fleet = Fleet::new();
    let heads = Arc::new(Mutex::new(String::new()));
    let heard = heads.clone();
    let server = serve(move |request| {
        heard.lock().expect("nobody panics here").push_str(&request.head);
        Reply::Json(403, "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}".to_owned())
    });
    certify(fleet.path());
    let key = fs::read_to_string(fleet.path().join("key.pem")).expect("it is there");
    key.lines().filter(|line| !line.contains("--")).for_each(|line| canaries.know("the key of the certificate", line));
    fs::write(fleet.path().join("host.toml"), format!("listen = \"0.0.0.0:0\"\n{TLS}")).expect("it can be written");
    let verbs = ["read", "rows", "operate", "deploy"].map(|verb| format!("--verb={verb}"));
    let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
    let tokens = ["good", "expired", "revoked", "narrow", "tenant"].map(|name| {
        let more: &[&str] = match name {
            "expired" => &["--expires", "0s"],
            "tenant" => &["--tenant", "acme"],
            _ => &[],
        };
        let token = fleet.token(name, &[if name == "narrow" { &verbs[..1] } else { &verbs[..] }, more].concat());
        canaries.know(&format!("token {name}"), &token);
        token
    });
    assert_eq!(output(wasmill(fleet.path()).args(["token", "revoke", ".", "revoked"])).0, Some(0));
    let wrong = canaries.add("a token that was never one");
    let misplaced = canaries.add("a password where a token should be");

    // What is in parameters, by where it is used.
    let mut set: Vec<String> = Vec::new();
    let mut parameter = |canaries: &mut Canaries, name: &str| {
        let secret = canaries.add(&format!("--set {name}"));
        set.push(format!("--set={name}={secret}"));
        secret
    };
    let passwords = ["search_password", "late_password", "dead_password"].map(|name| parameter(&mut canaries, name));
    for kind in ["s3", "kinesis", "checkpoint", "sigv4"] {
        for part in ["id", "secret", "token"] {
            parameter(&mut canaries, &format!("{kind}_{part}"));
        }
    }
    for password in &passwords {
        canaries.know("a password in a header", &basic("user", password));
    }
    let keys = |kind: &str| {
        format!(
            "region = \"us-east-1\"\naccess_key_id = \"${{{kind}_id}}\"\nsecret_access_key = \"${{{kind}_secret}}\"\n\
             session_token = \"${{{kind}_token}}\"\nendpoint = \"{server}\"\nstart_timeout = \"200ms\"\n"
        )
    };
    let search = |password: &str| {
        format!(
            "type = \"opensearch\"\nendpoint = \"{server}\"\nindex = \"i\"\nauth = \"basic\"\nusername = \"user\"\n\
             password = \"${{{password}}}\"\nstart_timeout = \"200ms\"\n"
        )
    };
    fs::write(fleet.path().join("in.jsonl"), "{\"t\":1}\n{\"t\":2}\n").expect("it can be written");
    let input = fleet.path().join("in.jsonl").display().to_string();
    let rows = format!("[source.rows]\ntype = \"replay\"\npath = \"{input}\"\nevent_time = \"/t: time(unix-ms)\"\n");
    let sink = |name: &str, members: &str| format!("[sink.{name}]\ninput = \"rows\"\n{members}");
    let folder = fleet.path().join("checkpoints").display().to_string();
    let keeps = format!("[checkpoint]\nto = \"{folder}\"\ninterval = \"100ms\"\n");
    let out = fleet.path().join("out").display().to_string();
    fleet.write("search", &format!("{rows}{}", sink("out", &search("search_password"))));
    fleet.write("late", &format!("{rows}{}", sink("out", &search("late_password"))));
    fleet.write(
        "letters",
        &format!("{rows}{}[dead_letter]\n{}", sink("out", "type = \"stdout\"\n"), search("dead_password")),
    );
    fleet.write("bucket", &format!("{rows}{}", sink("out", &format!("type = \"s3\"\nbucket = \"b\"\n{}", keys("s3")))));
    let signed = format!("type = \"opensearch\"\nindex = \"i\"\nauth = \"sigv4\"\n{}", keys("sigv4"));
    fleet.write("signed", &format!("{rows}{}", sink("out", &signed)));
    let stream = "[source.rows]\ntype = \"kinesis\"\nstream = \"s\"\nevent_time = \"/t: time(unix-ms)\"\n";
    fleet.write("stream", &format!("{stream}{}{}", keys("kinesis"), sink("out", "type = \"stdout\"\n")));
    let kept = format!("[checkpoint]\nto = \"s3://b/prefix\"\n{}", keys("checkpoint"));
    fleet.write("kept", &format!("{kept}{rows}{}", sink("out", "type = \"stdout\"\n")));
    let good = format!("{keeps}{rows}{}", sink("out", &format!("type = \"file\"\npath = \"{out}\"\n")));
    // A file that is wrong, and is drawn: what surrounds the mistake are parameters.
    fleet.write("wrong", &format!("{rows}{}", sink("out", &search("search_password").replace("index", "indx"))));
    fleet.write("good", &good);

    settle(&fleet, "acme", "", 100);
    let secrets = fleet.tenant("acme").join("secrets");
    fs::create_dir(&secrets).expect("a folder");
    for name in ["api_key", "unused"] {
        let path = secrets.join(name);
        fs::write(&path, canaries.add(&format!("secret {name} of a tenant"))).expect("it can be written");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
    }
    fleet.write_for("acme", "job", &copy("rows.jsonl", IDENTITY, ""));
    fleet.write_for(
        "acme",
        "secret",
        &copy("rows.jsonl", IDENTITY, "")
            .replace("type = \"file\"\npath = \"rows.jsonl\"\noverwrite = true\n", &search("api_key")),
    );

    let mut command = wasmill(fleet.path());
    command.args(["serve", "."]).args(&set).env("WASMILL_LOG", "trace");
    for name in
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "WASMILL_TOKEN", "DATABASE_PASSWORD"]
    {
        command.env(name, canaries.add(&format!("{name} of the environment")));
    }
    assert!(canaries.0.len() >= 30, "{}", canaries.0.len());
    let serving = fleet.start_as(&mut command);
    let certificate = fs::read_to_string(fleet.path().join("cert.pem")).expect("it is there");
    let caller = Caller::over_tls(&serving.url("").replace("0.0.0.0", "127.0.0.1"), &certificate);
    let [own, expired, revoked, narrow, tenant] = &tokens;
    let ask = |token: &str, method: &str, path: &str| caller.ask(Some(token), method, path).expect("an answer");
    let state = |job: &str| {
        let text = ask(own, "GET", &format!("/api/v1/jobs/{job}")).1;
        serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default()
    };
    let gives_up = ["search", "late", "letters", "bucket", "signed", "stream", "kept", "wrong"];
    for job in gives_up {
        until(&format!("that {job} is refused"), || state(job)["reason"].as_str().map(drop));
    }
    for job in ["good", "acme:job"] {
        until(&format!("the end of {job}"), || (state(job)["state"] == "finished").then_some(()));
    }
    let mut answers = String::new();
    let document: serde_json::Value =
        serde_json::from_str(&ask(own, "GET", "/api/v1/openapi.json").1).expect("a document");
    for token in [own, expired, revoked, narrow, tenant, &wrong, &misplaced] {
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for job in ["search", "good", "acme:secret"] {
                let path = path.replace("{job}", job).replace("{step}", "rows").replace("{which}", "newest");
                let path = path.replace("{tenant}", "acme");
                for method in methods.as_object().expect("methods").keys().filter(|method| *method != "delete") {
                    let (status, text) = ask(token, &method.to_uppercase(), &path);
                    answers.push_str(&format!("{status} {method} {path}\n{text}\n"));
                }
            }
        }
    }
    let ended = serving.stop();
    // Nothing is proven by secrets that nobody has used.
    let heads = heads.lock().expect("nobody panics here").clone();
    for (what, secret) in [("a password", basic("user", &passwords[0])), ("a key", "Credential=Canary".to_owned())] {
        assert!(heads.contains(&secret), "{what} was not sent");
    }
    assert!(ended.log.contains("TRACE"), "the log is at its most talkative");
    assert!(answers.contains("\"good\"") && answers.contains("wasmill_job_state"), "the host has answered");
    let mut leaks = canaries.found("the log", ended.log.as_bytes());
    leaks.extend(canaries.found("answers", answers.as_bytes()));
    let mut found = Vec::new();
    files(fleet.path(), &mut found);
    let is_own = |path: &Path| path.ends_with("key.pem") || path.parent() == Some(&secrets);
    found.retain(|path| !is_own(path));
    for name in ["audit.jsonl", "tokens.toml"] {
        assert!(found.iter().any(|path| path.ends_with(name)), "{name}: {found:?}");
    }
    assert!(found.iter().any(|path| path.starts_with(fleet.path().join("checkpoints"))), "{found:?}");
    // A socket, or what has gone meanwhile, holds nothing.
    let leaks_of =
        |path: &std::path::PathBuf| canaries.found(&path.display().to_string(), &fs::read(path).unwrap_or_default());
    leaks.extend(found.iter().flat_map(leaks_of));
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    let lines = ended.log.lines().count();
    report(&format!(
        "{} secrets in none of {lines} lines of log, {} bytes of answers, {} files",
        canaries.0.len(),
        answers.len(),
        found.len()
    ));
}
