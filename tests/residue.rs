//! What a guest or a tenant leaves behind: nothing of it is ever seen by another.

use crate::harness::fleet::{Fleet, Serving};
use crate::harness::strangers::{FILES, HOSTILE, IDENTITY, copy};
use crate::harness::{guests, plugins, report, root};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use wasmill_plugin::{Grants, Host, Limits};
use wasmill_stream::plugin::{TransformPlugin, View};
use wasmill_stream::{Error, Result};

/// 2013-01-01T00:00:00Z
const START: i64 = 1_356_998_400_000;

/// A transform of `plugins/hostile/wat`, its text changed by `change`.
fn transform(host: &Host, name: &str, change: impl Fn(String) -> String) -> Arc<dyn TransformPlugin> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(name);
    let text = fs::read_to_string(root().join(format!("plugins/hostile/wat/{name}.wat"))).expect("it is there");
    fs::write(&path, change(text)).expect("it can be written");
    let component = host.load_with(name, &guests::of_text(&path), Grants::default(), &Limits::default());
    host.transform(&component.expect("it loads"), "step", "{}", Limits::default()).expect("it is a transform")
}

/// A call of an instance that exists for it alone.
fn call(plugin: &dyn TransformPlugin) -> Result<()> {
    let values = ["a row"].into_iter().collect();
    let view = View { times: &[1], keys: None, values: Some(&values), fields: Vec::new() };
    plugin.instantiate()?.transform(&view).map(drop)
}

/// A thousand times an instance that fills 4 MiB of memory and its table, and after it one of another component that looks for
/// anything there → it finds zeros and nothing else. One that has something of its own there finds it.
#[test]
fn of_a_guest() {
    let host = Host::new().expect("the engine starts");
    let leaves = transform(&host, "residue-leave", |text| text);
    let seeks = transform(&host, "residue-seek", |text| text);
    for round in 0..1_000 {
        call(&*leaves).unwrap_or_else(|error: Error| panic!("round {round}: {}", error.report()));
        call(&*seeks).unwrap_or_else(|error: Error| panic!("round {round}: {}", error.report()));
    }
    let marks = [
        ("(data (i32.const 64)", "(data (i32.const 90000) \"\\c5\")\n  (data (i32.const 64)"),
        ("(table $marks 1 4096 funcref)", "(table $marks 1 4096 funcref) (elem (i32.const 0) $mark) (func $mark)"),
    ];
    for (old, new) in marks {
        let marked = transform(&host, "residue-seek", |text| text.replacen(old, new, 1));
        let error = call(&*marked).expect_err("it finds what it has left itself").report();
        assert!(error.contains("unreachable"), "{error}");
    }
}

/// Every text below a folder.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it can be read").map(|entry| entry.expect("it is there").path()) {
        if entry.is_dir() {
            found.append(&mut texts(&entry));
        } else {
            let bytes = fs::read(&entry).unwrap_or_default();
            found.push((entry.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    found
}

/// Everything that the API tells somebody with this token.
fn told(serving: &Serving, token: &str, tenant: &str, jobs: &[&str]) -> Vec<(String, String)> {
    let mut paths: Vec<String> = ["jobs", "tenants"].map(|path| format!("/api/v1/{path}")).into();
    paths.extend(["/metrics".to_owned(), format!("/api/v1/tenants/{tenant}")]);
    for job in jobs {
        let of = |what: &str| format!("/api/v1/jobs/{tenant}:{job}{what}");
        paths.extend(["", "/steps", "/plugins", "/checkpoints", "/dead-letters", "/logs"].map(of));
    }
    let ask = |path: String| {
        let (status, text) = serving.ask_as(Some(token), "GET", &path, "");
        assert!(status < 500, "{path}: {status} {text}");
        (path, text)
    };
    paths.into_iter().map(ask).collect()
}

/// Two tenants with the same jobs of the same plugins, which trap, panic, write logs and dead letters over rows that name their
/// owner, one after the other and at once → nothing of one is in any file of the other, nor in what the API tells the other.
#[test]
fn of_a_tenant() {
    let fleet = Fleet::new();
    let tenants = ["acme", "brand"];
    let deeds = [
        ("traps", "settings = { do = \"trap\", every = 40 }\nfailures = { share = 1.0 }"),
        ("panics", "settings = { do = \"panic\", every = 50 }\nfailures = { share = 1.0 }"),
        ("floods", "settings = { do = \"log-flood\", every = 90, amount = 20 }"),
    ];
    let mut tokens = Vec::new();
    for tenant in tenants {
        fleet.allow(tenant, FILES);
        let folder = fleet.tenant(tenant);
        let rows = (1..=1_000).map(|id| {
            json!({"t": START + id * 1_000, "id": id, "user": format!("canary-of-{tenant}")}).to_string() + "\n"
        });
        fs::write(folder.join("in.jsonl"), rows.collect::<String>()).expect("it can be written");
        for plugin in ["identity", "hostile/transform"] {
            let name = plugin.replace('/', "-");
            fs::copy(plugins::component(plugin), folder.join(format!("{name}.wasm"))).expect("it was built");
        }
        for (name, deed) in deeds {
            let letters = format!("[dead_letter]\ntype = \"file\"\npath = \"{name}.dead.jsonl\"\noverwrite = true\n");
            fleet.write_for(tenant, name, &format!("{}{letters}", copy(&format!("{name}.jsonl"), HOSTILE, deed)));
        }
        fleet.write_for(tenant, "plain", &copy("plain.jsonl", IDENTITY, ""));
        tokens.push(fleet.token(tenant, &["--tenant", tenant, "--verb", "read", "--verb", "rows"]));
    }
    let jobs = ["traps", "panics", "floods", "plain"];
    let operator = fleet.token("operator", &["--verb", "read"]);
    let mut serving = fleet.start().with_token(&operator);
    for tenant in tenants {
        for job in jobs {
            serving.until(&format!("{tenant}:{job}"), "finished");
        }
    }
    let (mut looked, mut own) = (0, 0);
    for (tenant, other, token) in [("acme", "brand", &tokens[0]), ("brand", "acme", &tokens[1])] {
        let mut seen = texts(&fleet.tenant(tenant));
        seen.append(&mut told(&serving, token, tenant, &jobs));
        for (place, text) in &seen {
            assert!(!text.contains(&format!("canary-of-{other}")), "{place} of {tenant}: {text}");
            looked += text.len();
            own += usize::from(text.contains(&format!("canary-of-{tenant}")));
        }
        let letters = fs::read_to_string(fleet.tenant(tenant).join("traps.dead.jsonl")).expect("it was written");
        assert_eq!(letters.lines().count(), 1_000 / 40, "{letters}");
        assert!(letters.lines().all(|letter| serde_json::from_str::<Value>(letter).is_ok()));
    }
    assert!(own >= 10, "the canaries are where they belong: {own}");
    report(&format!("{looked} bytes of files and answers, {own} places with canaries of their owner, none of another"));
    serving.stop().well();
}
