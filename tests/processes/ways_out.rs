//! Where the connections of a tenant of either class lead: to servers that its file names, and with the rights of its role.

use super::{about, pid};
use crate::harness::bucket::Bucket;
use crate::harness::fleet::{Fleet, classes};
use crate::harness::loopback;
use crate::harness::patience::until;
use crate::harness::program::wasmill;
use crate::harness::report;
use crate::harness::search::Search;
use crate::harness::server::MOTO;
use crate::harness::strangers::{IDENTITY, copy, settle};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A tenant of each class that writes to a server which its file names → its documents are there. A server that sends it on to
/// another one, and a server that is named by a name which leads to this machine → nobody comes there.
#[test]
fn servers() {
    classes().into_iter().for_each(servers_in);
}

fn servers_in(class: &str) {
    let fleet = Fleet::of_class(class);
    let search = Search::start();
    let secret = TcpListener::bind("127.0.0.1:0").expect("a port");
    let forbidden = secret.local_addr().expect("an address");
    let came = Arc::new(AtomicUsize::new(0));
    let counts = came.clone();
    std::thread::spawn(move || {
        for stream in secret.incoming() {
            counts.fetch_add(1, Relaxed);
            let _ = stream.map(|mut stream| stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"));
        }
    });
    let asked = Arc::new(AtomicUsize::new(0));
    let redirects = asked.clone();
    let elsewhere = loopback::serve(move |_| {
        redirects.fetch_add(1, Relaxed);
        loopback::Reply::Full(302, vec![("location", format!("http://{forbidden}/"))], Vec::new())
    });
    // It leads to an address of this machine, if anywhere.
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("every machine has one");
    let by_name = search.url.replace("127.0.0.1", name.trim());
    let allow = format!(
        "[allow]\nsources = [\"replay\"]\nsinks = [\"opensearch\"]\nservers = [\"{}\", \"{elsewhere}\", \"{by_name}\"]\n",
        search.url
    );
    settle(&fleet, "acme", "", 300);
    fleet.allow("acme", &allow);
    let job = |endpoint: &str| {
        let text = copy("x", IDENTITY, "");
        let sink =
            format!("type = \"opensearch\"\nendpoint = \"{endpoint}\"\nindex = \"rows\"\nstart_timeout = \"2s\"\n");
        text.replace("type = \"file\"\npath = \"x\"\noverwrite = true\n", &sink)
    };
    fleet.write_for("acme", "good", &job(&search.url));
    fleet.write_for("acme", "sent-on", &job(&elsewhere));
    fleet.write_for("acme", "by-name", &job(&by_name));
    fleet.write_for("acme", "other", &job(&format!("http://{forbidden}")));
    let mut serving = fleet.start();
    serving.until("acme:good", "finished");
    assert_eq!(search.documents("rows").len(), 300);
    let refused = serving.until("acme:other", "failed");
    assert!(refused["reason"].to_string().contains("may not"), "{refused}");
    until("both were tried", || {
        let state = |job: &str| serving.get(&format!("/api/v1/jobs/acme:{job}"))["restarts"].as_u64();
        let failed = |job: &str| serving.get(&format!("/api/v1/jobs/acme:{job}"))["state"] == "failed";
        let tried = |job: &str| state(job) > Some(0) || failed(job);
        (tried("sent-on") && tried("by-name") && asked.load(Relaxed) > 0).then_some(())
    });
    assert_eq!(came.load(Relaxed), 0, "{class}");
    let tenant = serving.get("/api/v1/tenants/acme");
    assert!(tenant["connections"].as_u64() > Some(0) && tenant["refused_connections"].as_u64() > Some(1), "{tenant}");
    assert!(serving.log().contains("a connection was refused"), "{}", serving.log());
    let why = |job: &str| serving.get(&format!("/api/v1/jobs/acme:{job}"))["reason"].to_string();
    // Clients that are sent on do not say any more whose connection it is.
    assert!(why("sent-on").contains("407"), "{}", why("sent-on"));
    report(&format!("{class}: {} connections, {} refused", tenant["connections"], tenant["refused_connections"]));
    serving.stop().well();
}

/// A tenant of each class with a role and no keys of its own, on a host that may take it on → its rows are in the bucket. The process
/// of the one that has one knows nothing of the rights of the host.
#[test]
fn roles() {
    let Some(url) = MOTO.url() else { return };
    for class in classes() {
        let fleet = Fleet::of_class(class);
        let bucket = Bucket::create(url, &format!("roles-{class}"));
        settle(&fleet, "acme", "", 500);
        let name = format!("roles-{class}");
        fleet.allow(
            "acme",
            &format!(
                "[allow]\nsources = [\"replay\"]\nsinks = [\"s3\"]\nservers = [\"{url}\"]\nobjects = [\"s3://{name}/\"]\n\
                 [aws]\nrole = \"arn:aws:iam::123456789012:role/acme\"\n"
            ),
        );
        let sink = format!(
            "type = \"s3\"\nbucket = \"{name}\"\nprefix = \"rows/\"\nendpoint = \"{url}\"\nregion = \"eu-west-1\"\n"
        );
        let text = copy("x", IDENTITY, "").replace("type = \"file\"\npath = \"x\"\noverwrite = true\n", &sink);
        fleet.write_for("acme", "copy", &format!("{text}[checkpoint]\nto = \"checkpoints\"\n"));
        let mut command = wasmill(fleet.path());
        command.args(["serve", ".", "--listen", "127.0.0.1:0"]).env("AWS_ENDPOINT_URL_STS", url);
        command.env("AWS_ACCESS_KEY_ID", "of-the-host").env("AWS_SECRET_ACCESS_KEY", "canary-of-the-host");
        let mut serving = fleet.start_as(&mut command);
        serving.until("acme:copy", "finished");
        let rows: usize = bucket
            .keys("rows")
            .iter()
            .filter_map(|key| bucket.object(key))
            .map(|text| String::from_utf8_lossy(&text).lines().count())
            .sum();
        assert_eq!(rows, 500, "{class}");
        if class == "process" {
            let environment = about(pid(&serving, "acme"), "environ");
            assert!(environment.contains("HOME=") && !environment.contains("of-the-host"), "{environment}");
        }
        serving.stop().well();
    }
}
