//! Tenants of `wasmill serve`: what their jobs may reach, and what they may take together, in the process of the host and in
//! processes of their own.

use crate::harness::data::json_lines;
use crate::harness::fleet::{Fleet, Serving, classes};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::unwrapped;
use crate::harness::report;
use crate::harness::strangers::{FILES, HOSTILE, IDENTITY, all, copy, ids, settle};
use crate::pipeline::Input;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Why a job has failed.
fn reason(serving: &mut Serving, job: &str) -> String {
    unwrapped(serving.until(job, "failed")["reason"].as_str().expect("a reason"))
}

/// What is known of a limit of a tenant.
fn quota(serving: &Serving, tenant: &str, kind: &str, name: &str) -> Value {
    serving.get(&format!("/api/v1/tenants/{tenant}"))[kind][name].clone()
}

/// Two tenants with jobs of the same name, secrets and files → each reads and writes its own. A job that would reach another's
/// files, the host's parameters or secrets, the network, the rights of the machine, or have sources built on the host → it fails
/// and says what it may not, and nothing of another tenant stands in the reason.
#[test]
fn apart() {
    classes().into_iter().for_each(apart_in);
}

fn apart_in(class: &str) {
    let fleet = Fleet::of_class(class);
    for (tenant, count) in [("acme", 2_000), ("brand", 3_000)] {
        settle(&fleet, tenant, "[parameters]\nout = \"rows.jsonl\"", count);
        let secrets = fleet.tenant(tenant).join("secrets");
        fs::create_dir(&secrets).expect("a folder");
        fs::write(secrets.join("KEY"), format!("canary-of-{tenant}\n")).expect("it can be written");
        fs::set_permissions(secrets.join("KEY"), fs::Permissions::from_mode(0o600)).expect("it is ours");
        fleet.write_for(tenant, "copy", &copy("${out}", IDENTITY, ""));
    }
    symlink(fleet.tenant("brand"), fleet.tenant("acme").join("brand")).expect("a link");
    symlink(fleet.tenant("brand").join("jobs/copy.toml"), fleet.tenant("acme").join("jobs/alias.toml"))
        .expect("a link");
    let plain = copy("x.jsonl", IDENTITY, "");
    let of_brand = fleet.tenant("brand").join("in.jsonl").display().to_string();
    let search = "[sink.search]\ninput = \"same\"\ntype = \"opensearch\"\nindex = \"i\"\n";
    let cases = [
        ("dots", plain.replace("in.jsonl", "../brand/in.jsonl"), "may not use the path ../brand/in.jsonl"),
        ("absolute", plain.replace("in.jsonl", &of_brand), "may not use the path"),
        ("link", plain.replace("in.jsonl", "brand/in.jsonl"), "may not use the path brand/in.jsonl"),
        ("secret", plain.replace("in.jsonl", "secrets/KEY"), "may not use the path secrets/KEY"),
        ("write", plain.replace("x.jsonl", "/tmp/x.jsonl"), "may not use the path /tmp/x.jsonl"),
        (
            "keep",
            format!("{plain}[checkpoint]\nto = \"../brand/checkpoints\"\n"),
            "may not use the path ../brand/checkpoints",
        ),
        ("bucket", format!("{plain}[checkpoint]\nto = \"s3://brand/x\"\n"), "may not use s3://brand/x"),
        ("plugin", plain.replace("../identity.wasm", "../../brand/identity.wasm"), "may not use the path"),
        ("sources", plain.replace("../identity.wasm", "../project"), "is a folder of sources"),
        ("fetch", plain.replace("../identity.wasm", "s3://brand/p.wasm"), "may not use s3://brand/p.wasm"),
        (
            "search",
            format!("{plain}{search}endpoint = \"http://127.0.0.1:9200\"\n"),
            "may not have a sink of type `opensearch`",
        ),
        (
            "metadata",
            format!("{plain}{search}endpoint = \"http://169.254.169.254\"\n"),
            "reach the server http://169.254.169.254",
        ),
        (
            "stream",
            plain.replace("type = \"replay\"\npath = \"in.jsonl\"", "type = \"kinesis\"\nstream = \"brand\""),
            "may not use the stream brand",
        ),
        (
            "printed",
            plain.replace("path = \"x.jsonl\"\noverwrite = true", "").replace("\"file\"", "\"stdout\""),
            "sink of type `stdout`",
        ),
        ("host", plain.replace("in.jsonl", "${HOST_SECRET}"), "parameter `HOST_SECRET` has no value"),
        ("environment", plain.replace("in.jsonl", "${HOME}"), "parameter `HOME` has no value"),
    ];
    fs::create_dir(fleet.tenant("acme").join("project")).expect("a folder");
    for (name, text, _) in &cases {
        fleet.write_for("acme", name, text);
    }
    let mut serving = fleet.start_with(&["--set", "HOST_SECRET=canary-of-the-host"]);
    for (tenant, count) in [("acme", 2_000), ("brand", 3_000)] {
        let job = serving.until(&format!("{tenant}:copy"), "finished");
        assert_eq!((&job["tenant"], &job["name"]), (&json!(tenant), &json!("copy")));
        assert_eq!(ids(&fleet, tenant, "rows.jsonl"), all(count));
    }
    for (name, _, words) in &cases {
        let reason = reason(&mut serving, &format!("acme:{name}"));
        assert!(reason.contains(words), "{name}: {reason}");
        assert!(!reason.contains("canary-of"), "{name}: {reason}");
    }
    assert_eq!(serving.ask("GET", "/api/v1/jobs/acme:alias", "").0, 404, "a job file is no link");
    assert!(!std::path::Path::new("/tmp/x.jsonl").exists());
    // By the API it is no other.
    let (status, refusal) = serving.put("acme:other", &plain.replace("in.jsonl", "../brand/in.jsonl"));
    assert!(status == 422 && refusal.contains("may not use the path"), "{status} {refusal}");
    let (status, refusal) = serving.put("nobody:other", &plain);
    assert!(status == 422 && refusal.contains("there is no tenant nobody"), "{status} {refusal}");
    let (_, metrics) = serving.ask("GET", "/metrics", "");
    assert!(metrics.contains("tenant=\"brand\",job=\"copy\""), "{metrics}");
    serving.stop().well();
}

/// A tenant that has more jobs than it may, takes more memory, opens more windows, and keeps more metrics than it may, beside one
/// with the same jobs and no limits → each limit is named where it was hit, and the other one has every row. More jobs are allowed
/// while the host runs → the job that was too many runs.
#[test]
fn limits_bite() {
    classes().into_iter().for_each(limits_bite_in);
}

fn limits_bite_in(class: &str) {
    let fleet = Fleet::of_class(class);
    let limits = "[quota]\njobs = 3\nmemory = \"40 MiB\"\nmetrics = 5\nlog = \"2 KiB\"";
    for (tenant, quota) in [("poor", limits), ("rich", "")] {
        settle(&fleet, tenant, quota, 5_000);
        let letters = "[dead_letter]\ntype = \"file\"\npath = \"dead.jsonl\"\noverwrite = true\n";
        let greedy = copy("greedy.jsonl", HOSTILE, "settings = { do = \"memory\", every = 2500 }");
        fleet.write_for(tenant, "a-greedy", &format!("{greedy}{letters}"));
        let chatty = "settings = { do = \"metric-flood\", amount = 20, every = 1000 }";
        fleet.write_for(tenant, "b-chatty", &copy("chatty.jsonl", HOSTILE, chatty));
        fleet.write_for(tenant, "c-plain", &copy("plain.jsonl", IDENTITY, ""));
        fleet.write_for(tenant, "d-plain", &copy("more.jsonl", IDENTITY, ""));
    }
    let mut serving = fleet.start();
    let too_many = reason(&mut serving, "poor:d-plain");
    assert!(too_many.contains("quota `jobs` of tenant poor: it has more jobs than the 3"), "{too_many}");
    let (status, refusal) = serving.put("poor:e", &copy("e.jsonl", IDENTITY, ""));
    assert!(status == 403 && refusal.contains("quota `jobs` of tenant poor"), "{status} {refusal}");
    for tenant in ["poor", "rich"] {
        for job in ["a-greedy", "b-chatty", "c-plain"] {
            serving.until(&format!("{tenant}:{job}"), "finished");
        }
        assert_eq!(ids(&fleet, tenant, "plain.jsonl"), all(5_000));
        assert_eq!(ids(&fleet, tenant, "chatty.jsonl"), all(5_000));
        let survivors = ids(&fleet, tenant, "greedy.jsonl");
        assert_eq!(survivors, all(5_000).into_iter().filter(|id| id % 2_500 != 0).collect(), "{tenant}");
        let letters = fs::read_to_string(fleet.tenant(tenant).join("dead.jsonl")).expect("it was written");
        let by_quota = json_lines(&letters)
            .iter()
            .filter(|letter| letter["reason"].to_string().contains("quota `memory`"))
            .count();
        assert_eq!(by_quota, if tenant == "poor" { 2 } else { 0 }, "{letters}");
    }
    let (refused, memory) = (quota(&serving, "poor", "pools", "metrics"), quota(&serving, "poor", "pools", "memory"));
    assert!(refused["refused"].as_u64() > Some(0) && refused["used"].as_u64() <= Some(5), "{refused}");
    assert!(memory["refused"].as_u64() >= Some(2) && memory["used"] == 0, "what was taken is given back: {memory}");
    assert_eq!(quota(&serving, "rich", "pools", "memory")["refused"], 0);

    fleet.allow("poor", &format!("{}\n{FILES}", limits.replace("jobs = 3", "jobs = 4")));
    serving.until("poor:d-plain", "finished");
    assert_eq!(ids(&fleet, "poor", "more.jsonl"), all(5_000));
    serving.stop().well();
}

/// A tenant with a tenth of a core that computes without end, beside one that has no limit → the first gets no more than its share,
/// and waits for the rest; the second is done meanwhile. With more the first goes on at once.
#[test]
fn cpu_is_shared_out() {
    classes().into_iter().for_each(cpu_is_shared_out_in);
}

fn cpu_is_shared_out_in(class: &str) {
    let fleet = Fleet::of_class(class);
    settle(&fleet, "poor", "[quota]\ncpu = 0.1", 50_000);
    settle(&fleet, "rich", "", 20_000);
    // Each row takes about a tenth of a millisecond.
    let busy = "settings = { do = \"slow\", amount = 50000, every = 1 }";
    fleet.write_for("poor", "busy", &copy("busy.jsonl", HOSTILE, busy));
    fleet.write_for("rich", "plain", &copy("plain.jsonl", IDENTITY, ""));
    let mut serving = fleet.start();
    serving.until("rich:plain", "finished");
    assert_eq!(ids(&fleet, "rich", "plain.jsonl"), all(20_000));
    let spent = |serving: &Serving| quota(serving, "poor", "rates", "cpu")["spent"].as_f64().expect("a number") / 1e9;
    let begun = (std::time::Instant::now(), spent(&serving));
    until("it has waited for five seconds", || {
        let waited = quota(&serving, "poor", "rates", "cpu")["waited"].as_f64().expect("a number");
        (waited > 5.0).then_some(())
    });
    let (time, spent) = (begun.0.elapsed().as_secs_f64(), spent(&serving) - begun.1);
    // One batch may be more than the share of a moment: it is paid for afterwards.
    assert!(spent < time * 0.1 + 1.0, "{spent} s of CPU time in {time} s");
    report(&format!("a tenth of a core: {spent:.2} s of CPU time in {time:.1} s"));
    fleet.allow("poor", &format!("[quota]\ncpu = 4.0\n{FILES}"));
    serving.until("poor:busy", "finished");
    assert_eq!(ids(&fleet, "poor", "busy.jsonl"), all(50_000));
    serving.stop().well();
}

/// Tenants whose jobs keep more windows or more state than they may, beside one without limits → their jobs end and name the
/// limit, its own goes on; with more they go on where they were.
#[test]
fn state_is_limited() {
    classes().into_iter().for_each(state_is_limited_in);
}

fn state_is_limited_in(class: &str) {
    let fleet = Fleet::of_class(class);
    let input = Input::new(20_000);
    let job = "[source.rows]\ntype = \"replay\"\npath = \"in.jsonl\"\nevent_time = \"/t: time(unix-ms)\"\n\
               [step.cells]\ninput = \"rows\"\nplugin = \"../cell-key.wasm\"\n\
               [step.averages]\ninput = \"cells\"\nplugin = \"../cell-average.wasm\"\nwindow = { tumbling = \"1d\" }\n\
               [sink.out]\ninput = \"averages\"\ntype = \"file\"\npath = \"out\"\n\
               [checkpoint]\nto = \"checkpoints\"\ninterval = \"200ms\"\n";
    let tenants = [("windows", "[quota]\nwindows = 20"), ("state", "[quota]\nstate = \"2 KiB\""), ("free", "")];
    for (tenant, quota) in tenants {
        settle(&fleet, tenant, quota, 0);
        fs::write(fleet.tenant(tenant).join("in.jsonl"), input.text()).expect("it can be written");
        for plugin in ["cell-key", "cell-average"] {
            fs::copy(component(plugin), fleet.tenant(tenant).join(format!("{plugin}.wasm"))).expect("it was built");
        }
        fleet.write_for(tenant, "averages", job);
    }
    let mut serving = fleet.start();
    let reasons = ["windows", "state"].map(|tenant| reason(&mut serving, &format!("{tenant}:averages")));
    assert!(
        reasons[0].contains("quota `windows` of tenant windows") && reasons[0].contains("the limit is 20"),
        "{reasons:?}"
    );
    assert!(reasons[1].contains("quota `state` of tenant state") && reasons[1].contains("2 KiB"), "{reasons:?}");
    serving.until("free:averages", "finished");
    let results = |tenant: &str| {
        let folder = fs::read_dir(fleet.tenant(tenant).join("out")).expect("a folder");
        let text: String = folder.map(|file| fs::read_to_string(file.expect("a file").path()).expect("text")).collect();
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort();
        rows
    };
    let expected = results("free");
    assert!(expected.len() > 60, "{}", expected.len());
    for tenant in ["windows", "state"] {
        assert_eq!(quota(&serving, tenant, "pools", "windows")["used"], 0, "what was taken is given back");
        fleet.allow(tenant, FILES);
        until("the new limits", || quota(&serving, tenant, "pools", tenant)["limit"].is_null().then_some(()));
        assert_eq!(serving.ask("POST", &format!("/api/v1/jobs/{tenant}:averages/restart"), "").0, 202);
        serving.until(&format!("{tenant}:averages"), "finished");
        assert!(results(tenant) == expected, "{tenant}");
    }
    serving.stop().well();
}
