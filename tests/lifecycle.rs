//! A host under a service manager: what it tells it, settings that are read again, restarts under load; and the unit with which
//! systemd runs it.

use crate::harness::fleet::Fleet;
use crate::harness::manifests::progress;
use crate::harness::patience::until;
use crate::harness::program::{output, wasmill};
use crate::harness::{report, root, skipped};
use crate::pipeline::{Input, Pipeline, local};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};
use wasmill_stream::checkpoint::Kind;

/// Records per second while the host is restarted.
const RATE: usize = 800;
/// How often.
const RESTARTS: usize = 3;

/// A service manager.
struct Manager(UnixDatagram);

impl Manager {
    /// Waits until it is told that.
    fn hears(&self, words: &str) -> String {
        until(words, || {
            let mut heard = [0; 1_000];
            let length = self.0.recv(&mut heard).expect("the host says something");
            let heard = String::from_utf8_lossy(&heard[..length]).into_owned();
            heard.lines().any(|line| line == words).then_some(heard)
        })
    }
}

/// A host with a service manager → it is told when the host is ready, that it is alive, when it reads its settings again on
/// SIGHUP and is ready again, and when it stops. A name in the settings counts from then on; a file that is wrong changes nothing.
#[test]
fn told_to_the_manager() {
    let fleet = Fleet::new();
    let socket = fleet.path().join("notify");
    let manager = Manager(UnixDatagram::bind(&socket).expect("it is free"));
    manager.0.set_read_timeout(Some(Duration::from_secs(300))).expect("a time");
    let mut command = wasmill(fleet.path());
    command.args(["serve", ".", "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "100000");
    let serving = fleet.start_as(&mut command);
    assert!(manager.hears("READY=1").contains("STATUS=0 jobs"));
    (0..3).for_each(|_| drop(manager.hears("WATCHDOG=1")));
    let status = || asked_as("mill.example", &serving.url(""));
    assert_eq!(status(), "421");
    let settings = fleet.path().join("host.toml");
    fs::write(&settings, "names = [\"mill.example\"]\n").expect("it can be written");
    fs::write(fleet.jobs().join("odd.toml"), "[engin]\n").expect("it can be written");
    serving.signal("HUP");
    manager.hears("RELOADING=1");
    assert!(manager.hears("READY=1").contains("STATUS=settings were read again: 1 jobs"));
    assert_eq!(status(), "200");
    fs::write(&settings, "names = 7\n").expect("it can be written");
    serving.signal("HUP");
    assert!(manager.hears("READY=1").contains("STATUS=not everything could be read again"));
    assert_eq!(status(), "200", "it stays as it was");
    fs::write(&settings, "names = [\"mill.example\"]\n[api]\nconnections = 3\n").expect("it can be written");
    serving.signal("HUP");
    assert!(manager.hears("READY=1").contains("[api] holds when the host is started again"));
    serving.signal("TERM");
    manager.hears("STOPPING=1");
    serving.wait().well();
}

/// The status of a request to a host that is called so.
fn asked_as(name: &str, url: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("it listens");
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).expect("a status").to_owned()
}

/// A host that is stopped and started under load, again and again → each time its job goes on behind its last checkpoint: over all
/// runs no record is read twice, and in the end every row is there once. Prints for how long nothing was read.
#[test]
fn rolling_restarts() {
    let fleet = Fleet::new();
    let pipeline = Pipeline::new(Input::new(10_000), local());
    fleet.write("job", &pipeline.text(Some(RATE)));
    let (mut serving, mut read, mut downtimes) = (fleet.start(), 0, Vec::new());
    let mut before = 0;
    for _ in 0..RESTARTS {
        let reached = before;
        until("progress", || (pipeline.progress() > reached).then_some(()));
        let since = Instant::now();
        let ended = serving.stop();
        read += records_read(&ended.log);
        ended.well();
        let newest = pipeline.manifests().newest().expect("there is one");
        assert_eq!(newest.kind, Kind::Stop);
        before = progress(&newest);
        assert_eq!(read, before, "the checkpoint knows every record that was read");
        serving = fleet.start();
        until("more", || (pipeline.progress() > before).then_some(()));
        downtimes.push(since.elapsed());
    }
    serving.until("job", "finished");
    let ended = serving.stop();
    read += records_read(&ended.log);
    ended.well();
    assert_eq!(read, pipeline.input().len() as u64, "none was read twice");
    pipeline.check();
    let millis: Vec<_> = downtimes.iter().map(|time| time.as_millis()).collect();
    report(&format!(
        "{RESTARTS} restarts at {RATE} records/s: 0 records replayed, {millis:?} ms from SIGTERM to the next checkpoint"
    ));
}

/// How many records a host has read, by the last words of its job's runs.
fn records_read(log: &str) -> u64 {
    let read = |line: &str| {
        let (before, _) = line.split_once(" read, ")?;
        before.rsplit(' ').next()?.replace(',', "").parse::<u64>().ok()
    };
    log.lines().filter_map(read).sum()
}

/// The unit of examples/deploy → systemd finds nothing wrong with it, and little that a host could do to the machine.
#[test]
fn the_unit() {
    let unit = fs::read_to_string(root().join("examples/deploy/wasmill.service")).expect("it is there");
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skipped("needs systemd-analyze");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let program = wasmill(dir.path()).get_program().to_string_lossy().into_owned();
    let path = dir.path().join("wasmill.service");
    fs::write(&path, unit.replace("/usr/local/bin/wasmill", &program)).expect("it can be written");
    let (code, said, error) = output(Command::new("systemd-analyze").arg("verify").arg(&path));
    let about_it: Vec<_> = error.lines().filter(|line| line.contains("wasmill")).collect();
    assert!(code == Some(0) && about_it.is_empty(), "{said}{error}");
    let more = fs::read_to_string(root().join("examples/deploy/wasmill-tenants.conf")).expect("it is there");
    let folder = dir.path().join("more");
    fs::create_dir_all(folder.join("wasmill.service.d")).expect("a folder");
    fs::copy(&path, folder.join("wasmill.service")).expect("it can be copied");
    fs::write(folder.join("wasmill.service.d/tenants.conf"), more).expect("it can be written");
    let (code, said, error) = output(Command::new("systemd-analyze").arg("verify").arg(folder.join("wasmill.service")));
    assert!(code == Some(0) && !error.contains("tenants.conf"), "{said}{error}");
    let mut judge = Command::new("systemd-analyze");
    judge.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(&path);
    let (code, said, error) = output(&mut judge);
    assert_eq!(code, Some(0), "{said}{error}");
    let score = said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_default();
    report(score.trim_start_matches("→ ").trim());
}
