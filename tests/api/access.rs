//! Tokens: every endpoint, as its own document names them, asks for the right one.

use crate::harness::fleet::{Fleet, Serving, classes};
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::report;
use crate::harness::strangers::{IDENTITY, copy, settle};
use crate::pipeline::{self, Input, Pipeline};
use serde_json::Value;
use std::fs;

/// All that a token may be good for.
const VERBS: [&str; 4] = ["read", "rows", "operate", "deploy"];

/// An endpoint, as the document of the API describes it.
struct Route {
    method: String,
    path: String,
    /// `None`: everybody is heard. An empty one: any token will do.
    verb: Option<String>,
}

/// All endpoints of a host.
fn routes(serving: &Serving) -> Vec<Route> {
    let document = serving.get("/api/v1/openapi.json");
    let paths = document["paths"].as_object().expect("paths");
    let methods = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").iter();
        methods.map(|(method, operation)| Route {
            method: method.to_uppercase(),
            path: path.clone(),
            verb: operation["security"].as_array().map(|needs| needs[0]["token"][0].as_str().unwrap_or("").to_owned()),
        })
    });
    methods.collect()
}

impl Route {
    /// Its path, about a job, or else anything.
    fn about(&self, job: &str, tenant: &str) -> String {
        let path = self.path.replace("{job}", job).replace("{tenant}", tenant);
        path.split('/').map(|part| if part.starts_with('{') { "none" } else { part }).collect::<Vec<_>>().join("/")
    }

    fn names_an_owner(&self) -> bool {
        self.path.contains("{job}") || self.path.contains("{tenant}")
    }
}

/// Every endpoint that the document names, asked without a token, with one that is wrong, revoked, has expired, is for another
/// verb or another tenant → refused, whether what it names is there or not; with the right one → heard.
#[test]
fn every_endpoint_asks_for_the_right_token() {
    classes().into_iter().for_each(every_endpoint_asks_for_the_right_token_in);
}

fn every_endpoint_asks_for_the_right_token_in(class: &str) {
    let fleet = Fleet::of_class(class);
    ["acme", "other"].iter().for_each(|tenant| fleet.allow(tenant, ""));
    let all: Vec<&str> = VERBS.iter().flat_map(|verb| ["--verb", verb]).collect();
    let of = |more: &[&'static str]| [&all[..], more].concat();
    let right = fleet.token("right", &of(&["--tenant", "acme"]));
    let host = fleet.token("host", &all);
    let other = fleet.token("other", &of(&["--tenant", "other", "--expires", "never"]));
    let expired = fleet.token("expired", &of(&["--expires", "0s"]));
    let revoked = fleet.token("revoked", &all);
    let without: Vec<(&str, String)> = VERBS
        .iter()
        .map(|verb| {
            let others: Vec<&str> = VERBS.iter().filter(|one| *one != verb).flat_map(|one| ["--verb", one]).collect();
            (*verb, fleet.token(&format!("not-{verb}"), &others))
        })
        .collect();
    let serving = fleet.start().with_token(&host);
    assert_eq!(serving.ask_as(Some(&revoked), "GET", "/api/v1/jobs", "").0, 200);
    let (code, _, said) = output(wasmill(fleet.path()).args(["token", "revoke", ".", "revoked"]));
    assert!(code == Some(0), "{said}");

    serving.until_processes_run();
    let routes = routes(&serving);
    assert!(routes.len() >= 17, "{}", routes.len());
    let close = format!("{}x", &host[..host.len() - 1]);
    let nobody: [Option<&str>; 7] =
        [None, Some(""), Some("wasmill_"), Some(&close), Some(&expired), Some(&revoked), Some("right")];
    let mut refusals = 0;
    for route in &routes {
        let (method, own) = (&route.method, route.about("acme:none", "acme"));
        let ask = |token: Option<&str>, path: &str| serving.ask_as(token, method, path, "");
        let Some(verb) = &route.verb else {
            let (status, text) = ask(None, &own);
            assert!(status == 200 && ["/healthz", "/readyz"].contains(&&*own), "{method} {own}: {status} {text}");
            continue;
        };
        for token in nobody {
            let (status, text) = ask(token, &own);
            assert_eq!(status, 401, "{method} {own} with {token:?}: {text}");
            refusals += 1;
        }
        if let Some((_, token)) = without.iter().find(|(without, _)| without == verb) {
            let (status, text) = ask(Some(token), &own);
            assert!(status == 403 && text.contains(&format!("this takes {verb}")), "{method} {own}: {status} {text}");
            refusals += 1;
        }
        if route.names_an_owner() {
            for of_others in [route.about("other:none", "other"), route.about("none", "host"), route.about(":", ".")] {
                let (status, text) = ask(Some(&right), &of_others);
                assert!(status == 403 && text.contains("is for tenant acme"), "{method} {of_others}: {status} {text}");
                refusals += 1;
            }
            assert_eq!(ask(Some(&other), &own).0, 403, "{method} {own}");
        }
        for token in [&right, &host] {
            let (status, text) = ask(Some(token), &own);
            assert!(![401, 403, 405].contains(&status) && status < 500, "{method} {own}: {status} {text}");
        }
    }
    for (method, path, expected) in [("GET", "/api/v1/none", 404), ("PATCH", "/api/v1/jobs", 405), ("GET", "/", 404)] {
        assert_eq!(serving.ask_as(None, method, path, "").0, 401, "{method} {path}");
        assert_eq!(serving.ask(method, path, "").0, expected, "{method} {path}");
    }
    report(&format!("{refusals} refusals by {} endpoints", routes.len()));
    serving.stop().well();
}

/// Jobs of two tenants and of the host → lists, metrics and readiness show a tenant's token only its own; without a token,
/// readiness is a number. What is asked, and by whom, is in the audit log; tokens are not.
#[test]
fn a_tenant_sees_its_own() {
    classes().into_iter().for_each(a_tenant_sees_its_own_in);
}

fn a_tenant_sees_its_own_in(class: &str) {
    let fleet = Fleet::of_class(class);
    for tenant in ["acme", "other"] {
        settle(&fleet, tenant, "", 2_000);
        fleet.write_for(tenant, "job", &copy("rows.jsonl", IDENTITY, ""));
    }
    let pipeline = Pipeline::new(Input::new(2_000), pipeline::local());
    fleet.write("job", &pipeline.text(None));
    let broken = "[source.a]\n";
    fleet.write_for("other", "broken", broken);
    let acme = fleet.token("acme", &["--verb", "read", "--verb", "operate", "--verb", "deploy", "--tenant", "acme"]);
    let host = fleet.token("host", &["--verb", "read"]);
    let mut serving = fleet.start().with_token(&host);
    for job in ["acme:job", "other:job", "job"] {
        serving.until(job, "finished");
    }
    serving.until("other:broken", "failed");
    let names = |token: &str| -> Vec<String> {
        let (_, text) = serving.ask_as(Some(token), "GET", "/api/v1/jobs", "");
        let jobs: Vec<Value> = serde_json::from_str(&text).expect("a list");
        jobs.iter().map(|job| job["id"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&host), ["job", "acme:job", "other:broken", "other:job"]);
    assert_eq!(names(&acme), ["acme:job"]);
    let (status, metrics) = serving.ask_as(Some(&acme), "GET", "/metrics", "");
    assert!(
        status == 200 && metrics.contains("wasmill_records_in_total{") && !metrics.contains("tenant=\"other\""),
        "{metrics}"
    );
    let ready = |token: Option<&str>| serving.ask_as(token, "GET", "/readyz", "");
    assert_eq!(ready(Some(&acme)), (200, "ready\n".to_owned()));
    assert_eq!(ready(Some(&host)), (503, "other:broken is failed\n".to_owned()));
    assert_eq!(ready(None), (503, "1 jobs are not\n".to_owned()));

    let put = |job: &str| serving.ask_as(Some(&acme), "PUT", &format!("/api/v1/jobs/{job}"), broken).0;
    assert_eq!((put("other:new"), put("new"), put("acme:new")), (403, 403, 422));
    assert_eq!(serving.ask_as(Some(&acme), "POST", "/api/v1/jobs/acme:job/pause", "").0, 202);
    assert_eq!(serving.ask_as(Some("wrong"), "POST", "/api/v1/jobs/acme:job/resume", "").0, 401);
    serving.stop().well();
    let text = fs::read_to_string(fleet.path().join("audit.jsonl")).expect("it is there");
    assert!(!text.contains(&acme) && !text.contains(&host), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["who"].as_str(), line["verb"].as_str(), line["job"].as_str(), line["status"].as_u64()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("acme"), Some("deploy"), Some("other:new"), Some(403)),
            (Some("acme"), Some("deploy"), Some("new"), Some(403)),
            (Some("acme"), Some("deploy"), Some("acme:new"), Some(422)),
            (Some("acme"), Some("operate"), Some("acme:job"), Some(202)),
            (Some("loopback"), None, None, Some(401)),
        ],
        "{text}"
    );
    let digest = |text: &str| wasmill_digest(text.as_bytes());
    assert_eq!(lines[2]["body_sha256"], digest(broken), "{text}");
    assert!(lines[2]["error"].as_str().is_some_and(|error| error.contains("source")), "{text}");
}

fn wasmill_digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `wasmill token`: what is made is listed without its text; names are taken once; verbs and times that are none are refused. A
/// token file that others may read → nobody is heard, and the host says why; `chmod` cures it.
#[test]
fn the_command() {
    let fleet = Fleet::new();
    let run = |arguments: &[&str]| output(wasmill(fleet.path()).arg("token").args(arguments));
    let (_, listed, _) = run(&["list", "."]);
    assert!(listed.contains("no tokens: whoever can reach the API may do anything"), "{listed}");
    let token = fleet.token("ci", &["--verb", "read", "--tenant", "acme", "--expires", "30d"]);
    let (code, listed, _) = run(&["list", "."]);
    assert!(
        code == Some(0) && listed.contains("ci") && listed.contains("acme") && !listed.contains(&token),
        "{listed}"
    );
    for (arguments, words) in [
        (&["create", ".", "ci", "--verb", "read"][..], "there is a token ci"),
        (&["create", ".", "a/b", "--verb", "read"], "a token cannot be called"),
        (&["create", ".", "a", "--verb", "all"], "invalid value 'all'"),
        (&["create", ".", "a"], "--verb"),
        (&["create", ".", "a", "--verb", "read", "--expires", "soon"], "expected a duration"),
        (&["create", "none", "a", "--verb", "read"], "find the folder none"),
        (&["revoke", ".", "a"], "there is no token a"),
    ] {
        let (code, _, said) = run(arguments);
        assert!(code == Some(2) && unwrapped(&said).contains(words), "{arguments:?}: {said}");
    }
    let serving = fleet.start();
    let jobs = || serving.ask_as(Some(&token), "GET", "/api/v1/jobs", "");
    assert_eq!(jobs().0, 200);
    let file = fleet.path().join("tokens.toml");
    let set_mode = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(&file, permissions).expect("it is ours");
    };
    set_mode(0o644);
    let (status, said) = jobs();
    assert!(status == 503 && said.contains("open to other users"), "{status} {said}");
    set_mode(0o600);
    assert_eq!(jobs().0, 200);
    serving.stop().well();
}
