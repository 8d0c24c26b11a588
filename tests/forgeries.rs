//! Addresses that a tenant writes where a job file takes one, in every form in which this machine, its neighbours and what its cloud
//! knows of it can be written. What the proxy does with them stands beside it: `host/server/src/serve/egress/tests.rs`.

use crate::harness::fleet::{Fleet, classes};
use crate::harness::program::unwrapped;
use crate::harness::report;
use std::net::TcpListener;

/// In place of `P` comes the port of a listener of this machine.
const FORMS: [&str; 60] = [
    "127.0.0.1:P",
    "127.1:P",
    "127.0.1:P",
    "127.000.000.001:P",
    "127.0.0.1.:P",
    "2130706433:P",
    "0x7f000001:P",
    "0x7f.1:P",
    "0x7f.0.0.1:P",
    "0177.0.0.1:P",
    "017700000001:P",
    "127.255.255.254:P",
    "0:P",
    "0.0.0.0:P",
    "[::]:P",
    "[::1]:P",
    "[0:0:0:0:0:0:0:1]:P",
    "[0000:0000:0000:0000:0000:0000:0000:0001]:P",
    "localhost:P",
    "LOCALHOST:P",
    "localhost.:P",
    "localhost.localdomain:P",
    "[::ffff:127.0.0.1]:P",
    "[::ffff:7f00:1]:P",
    "[::ffff:0:127.0.0.1]:P",
    "[::127.0.0.1]:P",
    "[64:ff9b::127.0.0.1]:P",
    "[64:ff9b:1::127.0.0.1]:P",
    "[2002:7f00:1::]:P",
    "①②⑦.⓪.⓪.①:P",
    "127。0。0。1:P",
    "%31%32%37.0.0.1:P",
    "search.example@127.0.0.1:P",
    "search.example:443@127.0.0.1:P",
    "127.0.0.1:P#search.example",
    "127.0.0.1:P?search.example",
    "127.0.0.1:P/search.example",
    "127.0.0.1:P\\search.example",
    "127.0.0.1:P\\@search.example",
    "search.example.:443",
    "search.example:P",
    "search.example.evil.example",
    "evil-search.example",
    "search.example%00.evil.example",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "metadata.google.internal",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "198.18.0.1",
    "[fc00::1]",
    "[fe80::1]",
    "224.0.0.1",
    "255.255.255.255",
];

/// What the tenant may reach.
const ALLOW: &str = "[allow]\nsources = [\"replay\", \"kinesis\"]\nsinks = [\"file\", \"kinesis\", \"opensearch\", \"s3\"]\n\
                     servers = [\"https://search.example\"]\nstreams = [\"acme\", \"arn:aws:kinesis:*\"]\n\
                     objects = [\"s3://acme/\"]\nartifacts = [\"search.example/\"]\n";

const KEYS: &str = "access_key_id = '${id}'\nsecret_access_key = '${key}'\n";
const ROWS: &str = "[source.rows]\ntype = 'replay'\npath = 'in.jsonl'\nevent_time = '/t: time(unix-ms)'\n";
const FILE: &str = "[sink.out]\ninput = 'rows'\ntype = 'file'\npath = 'x.jsonl'\n";

/// Job files with an address in every place that takes one.
fn places(form: &str) -> Vec<(&'static str, String)> {
    let region = "region = 'eu-west-1'\n";
    let endpoint = format!("endpoint = 'http://{form}'\n");
    let sink = |kind: &str, more: &str| format!("{ROWS}[sink.out]\ninput = 'rows'\ntype = '{kind}'\n{more}");
    let kinesis =
        |more: &str| format!("[source.rows]\ntype = 'kinesis'\n{KEYS}event_time = '/t: time(unix-ms)'\n{more}{FILE}");
    let step = |plugin: &str| format!("[step.same]\ninput = 'rows'\nplugin = '{plugin}'\n");
    let fetched =
        |table: &str| format!("{ROWS}{}{}{table}", step("s3://acme/p.wasm"), FILE.replace("'rows'", "'same'"));
    let arn = format!("arn:aws:kinesis:x.{form}/#:123456789012:stream/acme");
    let digest = "0".repeat(64);
    let artifact = step(&format!("oci://{form}/acme/p@sha256:{digest}"));
    vec![
        ("opensearch", sink("opensearch", &format!("index = 'i'\n{endpoint}"))),
        (
            "opensearch, behind one that is allowed",
            sink("opensearch", &format!("index = 'i'\nendpoint = ['https://search.example', 'http://{form}']\n")),
        ),
        ("kinesis source", kinesis(&format!("stream = 'acme'\n{region}{endpoint}"))),
        ("kinesis sink", sink("kinesis", &format!("stream = 'acme'\npartition_key = 'x'\n{KEYS}{region}{endpoint}"))),
        ("s3 sink", sink("s3", &format!("bucket = 'acme'\nprefix = 'x/'\n{KEYS}{region}{endpoint}"))),
        ("checkpoint", format!("{ROWS}{FILE}[checkpoint]\nto = 's3://acme/c'\n{KEYS}{region}{endpoint}")),
        ("components of s3", fetched(&format!("[components.s3]\n{KEYS}{region}{endpoint}"))),
        ("components of a registry", format!("{ROWS}{artifact}{}", FILE.replace("'rows'", "'same'"))),
        ("region of a stream", kinesis(&format!("stream = 'acme'\nregion = 'x.{form}/#'\n"))),
        ("region in an ARN", kinesis(&format!("stream = '{arn}'\n"))),
        (
            "region of a checkpoint",
            format!("{ROWS}{FILE}[checkpoint]\nto = 's3://acme/c'\n{KEYS}region = 'x.{form}/#'\n"),
        ),
    ]
}

/// Each form in each place → the job is refused for it, and nobody comes to this machine.
#[test]
fn are_refused() {
    classes().into_iter().for_each(are_refused_in);
}

fn are_refused_in(class: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let listener_6 = TcpListener::bind(format!("[::1]:{port}"));
    let fleet = Fleet::of_class(class);
    fleet.allow("acme", &format!("{ALLOW}[parameters]\nid = \"id\"\nkey = \"key\"\n"));
    std::fs::write(fleet.tenant("acme").join("in.jsonl"), "{\"t\": 1356998400000}\n").expect("it can be written");
    let serving = fleet.start();
    serving.until_processes_run();
    let mut refused = 0;
    for form in FORMS {
        for (place, text) in places(&form.replace('P', &port)) {
            let (status, said) = serving.put("acme:job", &text);
            assert_eq!(status, 422, "{place}: {form}: {said}");
            let reasons = ["may not", "is not an address", "without a user name", "is not the name of a region"];
            let others = ["is not the ARN of a stream", "expected oci://", "is no digest"];
            let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
            let said = unwrapped(said["error"].as_str().expect("a reason"));
            assert!(reasons.iter().chain(&others).any(|reason| said.contains(reason)), "{place}: {form}: {said}");
            refused += 1;
        }
    }
    for listener in [Some(listener), listener_6.ok()].into_iter().flatten() {
        listener.set_nonblocking(true).expect("it is ours");
        assert!(listener.accept().is_err(), "somebody came");
    }
    let tenant = serving.get("/api/v1/tenants/acme");
    assert_eq!((tenant["connections"].as_u64(), tenant["jobs"].as_u64()), (Some(0), Some(0)), "{tenant}");
    report(&format!("{class}: {refused} refusals of {} forms", FORMS.len()));
    serving.stop().well();
}
