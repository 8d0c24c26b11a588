//! Tenants of `wasmill serve` with a process to themselves: the same rows, and what the process can still do, seen from outside;
//! what becomes of it and of others when it is killed, and of those who ask while it is.

/// Where its connections may lead, and with whose rights.
mod ways_out;

use crate::harness::builds;
use crate::harness::fleet::{Fleet, Serving, has_processes};
use crate::harness::metrics::Metrics;
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::wasmill;
use crate::harness::strangers::{FILES, IDENTITY, all, copy, ids, settle};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Tenants with a process, and one without.
const PROCESS: &str = "class = \"process\"";

/// The number of a tenant's process, once it runs.
fn pid(serving: &Serving, tenant: &str) -> u64 {
    until("a process", || serving.process(tenant)["pid"].as_u64())
}

/// What the system says of a process, by line.
fn about(pid: u64, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs")
}

/// Rows of a tenant whose job lasts while something is done to it: more than a minute's.
const ROWS: i64 = 100_000;

/// A job with a checkpoint every so often, which is given so many times more rows a second than there are in its time.
fn at_speed(speedup: &str) -> String {
    let text = copy("rows", IDENTITY, "").replace("overwrite = true\n", "");
    let pace = format!("type = \"replay\"\ntime = \"/t: time(unix-ms)\"\nspeedup = {speedup}\n");
    let text = text.replace("type = \"replay\"\n", &pace);
    format!("{text}[checkpoint]\nto = \"checkpoints\"\ninterval = \"200ms\"\n")
}

/// It lasts.
fn steady() -> String {
    at_speed("1000")
}

/// Nothing is done to it any more: it goes to its end as fast as it can.
fn hurry(fleet: &Fleet, tenant: &str) {
    fleet.write_for(tenant, "steady", &at_speed("\"max\""));
}

/// The ids in the files of a folder, each once.
fn ids_in(fleet: &Fleet, tenant: &str, folder: &str) -> Vec<i64> {
    let files = fs::read_dir(fleet.tenant(tenant).join(folder)).into_iter().flatten();
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let text: String = paths.iter().map(|path| fs::read_to_string(path).expect("text")).collect();
    let rows = crate::harness::data::json_lines(&text);
    let mut ids: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().expect("a number")).collect();
    ids.sort_unstable();
    ids
}

/// What becomes of the rows of every step of a job adds up.
fn assert_balanced(metrics: &Metrics, tenant: &str, steps: &[&str]) {
    for step in steps {
        let labels = [format!("tenant=\"{tenant}\""), format!("step=\"{step}\"")];
        let count = |fate: &str| {
            metrics.get(&format!("wasmill_records_{fate}_total"), &labels.each_ref().map(|label| label.as_str()))
        };
        let fates = ["emitted", "filtered", "late", "rejected", "control"].map(count);
        assert!(count("in") > 0.0 && fates.iter().sum::<f64>() == count("in"), "{tenant} {step}: {fates:?}");
    }
}

/// The same job of a tenant with a process and of one without → the same rows, those of the input; every one is accounted for in
/// the metrics, each of which is there once. The process has no rights, no network, no files of others, and nobody can start a
/// program with more; its memory and CPU time are told.
#[test]
fn confined() {
    if !has_processes() {
        return;
    }
    let fleet = Fleet::new();
    for (tenant, class) in [("acme", PROCESS), ("brand", "")] {
        settle(&fleet, tenant, class, 5_000);
        fleet.write_for(tenant, "copy", &copy("rows.jsonl", IDENTITY, ""));
    }
    let mut serving = fleet.start();
    for tenant in ["acme", "brand"] {
        let job = serving.until(&format!("{tenant}:copy"), "finished");
        assert_eq!(job["run"]["records_in"], 5_000, "{job}");
        assert_eq!(ids(&fleet, tenant, "rows.jsonl"), all(5_000));
    }
    let metrics = Metrics::of(&serving);
    for tenant in ["acme", "brand"] {
        assert_balanced(&metrics, tenant, &["rows", "same", "out"]);
    }
    let families = metrics.families();
    let once: std::collections::BTreeSet<_> = families.iter().collect();
    assert_eq!(once.len(), families.len(), "{families:?}");

    let pid = pid(&serving, "acme");
    let status = about(pid, "status");
    for line in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{line}:\t0000000000000000")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let devices = about(pid, "net/dev");
    let devices: Vec<_> =
        devices.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    assert_eq!(devices, ["lo"]);
    let limits = about(pid, "limits");
    let limit = |name: &str| {
        limits.lines().find(|line| line.starts_with(name)).map(|line| line[name.len()..].trim().to_owned())
    };
    assert!(limit("Max core file size").is_some_and(|text| text.starts_with("0 ")), "{limits}");
    assert!(limit("Max data size").is_some_and(|text| text.starts_with("4294967296 ")), "{limits}");
    assert!(limit("Max open files").is_some_and(|text| text.starts_with("4096 ")), "{limits}");
    // Its root has its own files and those of the system.
    let root = format!("/proc/{pid}/root");
    let seen = |path: &std::path::Path| fs::symlink_metadata(format!("{root}{}", path.display())).is_ok();
    assert!(seen(&fleet.tenant("acme").join("jobs")) && seen("/usr/lib".as_ref()));
    for hidden in [fleet.tenant("brand"), fleet.path().join("host.toml"), "/etc/passwd".into(), "/root".into()] {
        assert!(!seen(&hidden), "{}", hidden.display());
    }
    let process = serving.process("acme");
    assert!(process["memory"].as_u64() > Some(1 << 20) && process["cpu"].as_f64() > Some(0.0), "{process}");
    assert!(serving.process("brand").is_null());
    serving.stop().well();
    until("the process is gone", || (!fs::exists(format!("/proc/{pid}")).unwrap_or(true)).then_some(()));
}

/// The process of a tenant is killed three times while its job runs → it is back by itself each time, the job goes on from its last
/// checkpoint, and every row is there once; a job of another tenant, with a process of its own, and one without do not notice.
/// Meanwhile the API says what has happened; afterwards, how often.
#[test]
fn killed() {
    if !has_processes() {
        return;
    }
    let fleet = Fleet::new();
    for (tenant, class) in [("acme", PROCESS), ("brand", PROCESS), ("plain", "")] {
        settle(&fleet, tenant, class, ROWS);
        fleet.write_for(tenant, "steady", &steady());
    }
    let mut serving = fleet.start();
    for tenant in ["acme", "brand", "plain"] {
        serving.until(&format!("{tenant}:steady"), "running");
    }
    let neighbour = pid(&serving, "brand");
    for round in 1..=3 {
        let before = pid(&serving, "acme");
        until("a checkpoint", || {
            let job = serving.ask("GET", "/api/v1/jobs/acme:steady", "").1;
            let job: Value = serde_json::from_str(&job).unwrap_or_default();
            (job["run"]["checkpoints"]["published"].as_u64() > Some(0)).then_some(())
        });
        let killed = Command::new("kill").args(["-9", &before.to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
        let dead = until("it is dead", || {
            let process = serving.process("acme");
            (process["restarts"] == round).then_some(process)
        });
        if dead["state"] == "restarting" {
            assert!(dead["reason"].as_str().is_some_and(|why| why.contains("SIGKILL")), "{dead}");
            let jobs = serving.get("/api/v1/jobs");
            let job = jobs.as_array().and_then(|jobs| jobs.iter().find(|job| job["id"] == "acme:steady")).cloned();
            assert!(job.is_some_and(|job| job["state"] != "finished"), "{jobs}");
            let (status, text) = serving.ask("GET", "/api/v1/jobs/acme:steady", "");
            assert!(status == 200 || (status == 503 && text.contains("the process of tenant acme")), "{status} {text}");
        }
        assert_ne!(until("it is back", || serving.process("acme")["pid"].as_u64()), before);
    }
    for tenant in ["acme", "brand", "plain"] {
        hurry(&fleet, tenant);
    }
    for tenant in ["acme", "brand", "plain"] {
        let job = serving.until(&format!("{tenant}:steady"), "finished");
        assert_eq!(job["restarts"], 0, "no job has failed: {job}");
        assert_eq!(ids_in(&fleet, tenant, "rows"), (1..=ROWS).collect::<Vec<_>>(), "{tenant}");
    }
    assert_eq!(serving.process("brand")["pid"].as_u64(), Some(neighbour));
    let metrics = Metrics::of(&serving);
    for (tenant, restarts) in [("acme", 3.0), ("brand", 0.0)] {
        let label = format!("tenant=\"{tenant}\"");
        assert_eq!(metrics.get("wasmill_tenant_process_restarts_total", &[&label]), restarts);
        assert_eq!(metrics.get("wasmill_tenant_process_up", &[&label]), 1.0);
    }
    serving.stop().well();
}

/// The host is killed while a tenant's process runs a job → the process ends with it; the next host goes on, and every row is there
/// once.
#[test]
fn orphaned() {
    if !has_processes() {
        return;
    }
    let fleet = Fleet::new();
    settle(&fleet, "acme", PROCESS, ROWS);
    fleet.write_for("acme", "steady", &steady());
    let mut serving = fleet.start();
    serving.until("acme:steady", "running");
    let orphan = pid(&serving, "acme");
    until("a checkpoint", || {
        let job = serving.get("/api/v1/jobs/acme:steady");
        (job["run"]["checkpoints"]["published"].as_u64() > Some(0)).then_some(())
    });
    serving.kill();
    until("it ends", || (!fs::exists(format!("/proc/{orphan}")).unwrap_or(true)).then_some(()));
    hurry(&fleet, "acme");
    let mut serving = fleet.start();
    serving.until("acme:steady", "finished");
    assert_eq!(ids_in(&fleet, "acme", "rows"), (1..=ROWS).collect::<Vec<_>>());
    serving.stop().well();
}

/// A tenant whose file moves it into a process of its own and back while its job runs → the job goes on from its checkpoint each
/// time, and every row is there once. Its limits change meanwhile → the process is started anew.
#[test]
fn moves() {
    if !has_processes() {
        return;
    }
    let fleet = Fleet::new();
    settle(&fleet, "acme", "", ROWS);
    fleet.write_for("acme", "steady", &steady());
    let mut serving = fleet.start();
    serving.until("acme:steady", "running");
    fleet.allow("acme", &format!("{PROCESS}\n{FILES}"));
    let first = pid(&serving, "acme");
    serving.until("acme:steady", "running");
    fleet.allow("acme", &format!("{PROCESS}\n{FILES}[process]\nfiles = 500\n"));
    let second = until("another process", || serving.process("acme")["pid"].as_u64().filter(|pid| *pid != first));
    let limits = about(second, "limits");
    assert!(limits.lines().any(|line| line.starts_with("Max open files") && line.contains(" 500 ")), "{limits}");
    assert_eq!(serving.process("acme")["restarts"], 0, "nobody has died");
    serving.until("acme:steady", "running");
    fleet.allow("acme", FILES);
    until("it has no process", || serving.process("acme").is_null().then_some(()));
    hurry(&fleet, "acme");
    serving.until("acme:steady", "finished");
    assert_eq!(ids_in(&fleet, "acme", "rows"), (1..=ROWS).collect::<Vec<_>>());
    serving.stop().well();
}

/// A machine that gives no namespaces → the tenant's jobs do not run, and say why and what to do; those of others run.
#[test]
fn a_machine_that_cannot() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("SKIPPED: strace is not installed");
        return;
    }
    let fleet = Fleet::new();
    for (tenant, class) in [("acme", PROCESS), ("brand", "")] {
        settle(&fleet, tenant, class, 1_000);
        fleet.write_for(tenant, "copy", &copy("rows.jsonl", IDENTITY, ""));
    }
    let program = wasmill(fleet.path());
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "/dev/null", "-e", "trace=unshare", "-e", "inject=unshare:error=EPERM"]);
    command.arg(program.get_program()).args(["serve", ".", "--listen", "127.0.0.1:0"]).current_dir(fleet.path());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut serving = fleet.start_as(&mut command);
    serving.until("brand:copy", "finished");
    assert_eq!(ids(&fleet, "brand", "rows.jsonl"), all(1_000));
    let process = until("it was tried", || {
        let process = serving.process("acme");
        process["reason"].is_string().then_some(process)
    });
    let reason = process["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("cannot give it a process of its own") && reason.contains("namespaces"), "{reason}");
    let jobs = serving.get("/api/v1/jobs");
    let job = jobs.as_array().and_then(|jobs| jobs.iter().find(|job| job["id"] == "acme:copy")).cloned();
    assert!(job.is_some_and(|job| job["reason"].to_string().contains("namespaces")), "{jobs}");
    assert!(!fleet.tenant("acme").join("rows.jsonl").exists());
    serving.signal("KILL");
    serving.wait();
}

/// Versions that are swapped in a job of either class, dead letters and logs that are asked for → the same answers.
#[test]
fn asked() {
    if !has_processes() {
        return;
    }
    let answers = ["shared", "process"].map(|class| {
        let fleet = Fleet::of_class(class);
        settle(&fleet, "acme", "", ROWS);
        let other = builds::another(&fs::read(component("identity")).expect("it was built"), 1);
        fs::write(fleet.tenant("acme").join("other.wasm"), other).expect("it can be written");
        fleet.write_for("acme", "steady", &steady());
        let mut serving = fleet.start();
        serving.until("acme:steady", "running");
        let path = |end: &str| format!("/api/v1/jobs/acme:steady{end}");
        let mut said =
            vec![serving.ask("POST", &path("/steps/same/swap"), "{\"plugin\": \"../other.wasm\", \"why\": \"x\"}")];
        said.push(serving.ask("POST", &path("/steps/none/swap"), "{\"plugin\": \"../other.wasm\"}"));
        said.push(serving.ask("POST", &path("/steps/same/swap"), "{\"plugin\": \"../../brand/other.wasm\"}"));
        said.push(serving.ask("POST", &path("/steps/same/swap"), "{"));
        said.push(serving.ask("GET", &path("/dead-letters"), ""));
        said.push(serving.ask("GET", &path("/steps/none/explain"), ""));
        said.push(serving.ask("POST", &path("/savepoints"), "{\"name\": \"\"}"));
        said.push(serving.ask("GET", "/api/v1/jobs/acme:none", ""));
        said.push(serving.ask("PUT", "/api/v1/jobs/acme:new", "[source.a]\n"));
        let history = serving.get(&path("/history"));
        let by =
            history.as_array().and_then(|events| events.iter().find(|event| event.to_string().contains("\"api\"")));
        assert!(by.is_some(), "{history}");
        let logs = serving.ask("GET", &path("/logs"), "").1;
        assert!(logs.lines().all(|line| line.contains("\"tenant\":\"acme\"")), "{logs}");
        let sample = serving.ask("GET", &path("/steps/same/sample?limit=3&seconds=20"), "").1;
        assert_eq!(sample.lines().count(), 3, "{sample}");
        assert_eq!(serving.ask("POST", &path("/pause"), "").0, 202);
        serving.until("acme:steady", "paused");
        assert_eq!(serving.ask("POST", &path("/resume"), "").0, 202);
        serving.until("acme:steady", "running");
        assert_eq!(serving.ask("DELETE", &path(""), "").0, 202);
        until("it has gone", || (serving.ask("GET", &path(""), "").0 == 404).then_some(()));
        serving.stop().well();
        said.into_iter().map(|(status, text)| format!("{status} {text}")).collect::<Vec<_>>()
    });
    let digits = |text: &String| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let [shared, process] = answers.map(|all| all.iter().map(digits).collect::<Vec<_>>());
    // Without paths, and without times, whose units differ as well.
    let plain = |text: &str| {
        ["/tenants/", ".tmp", "; it took "]
            .iter()
            .fold(text, |text, end| text.split(end).next().unwrap_or_default())
            .to_owned()
    };
    for (shared, process) in shared.iter().zip(&process) {
        assert_eq!(plain(shared), plain(process));
    }
}
