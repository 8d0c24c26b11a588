//! Readings that become an item, a message, a request and a value of a metric, on moto and on servers in this process.

use crate::harness::job::Job;
use crate::harness::server::MOTO;
use crate::harness::{cbor, http, loopback};
use loopback::Reply;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

const READINGS: usize = 3_000;
const STATIONS: usize = 12;

/// Asks moto something, as a form or as JSON for an action.
fn ask(url: &str, service: &str, action: Option<&str>, body: &str) -> String {
    let scope = format!("AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/{service}/aws4_request");
    let target = action.map(|action| format!("DynamoDB_20120810.{action}"));
    let mut headers = vec![("Authorization", scope.as_str())];
    match &target {
        Some(target) => {
            headers.extend([("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.0")])
        }
        None => headers.push(("Content-Type", "application/x-www-form-urlencoded")),
    }
    let (status, _, text) = http::send_with("POST", &format!("{url}/"), &headers, body.as_bytes());
    assert_eq!(status, 200, "{text}");
    text
}

fn element(text: &str, name: &str) -> Vec<String> {
    let parts = text.split(&format!("<{name}>")).skip(1);
    parts.filter_map(|rest| Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())).collect()
}

/// A reading in three is high, and one in a hundred is of nobody.
fn reading(n: usize, now: i64) -> Value {
    let station = format!("s{:02}", n * 7 % STATIONS);
    let severity = if n.is_multiple_of(3) { "high" } else { "low" };
    let mut reading =
        json!({"n": n, "station": station, "severity": severity, "level": n % 17, "t": now - 60_000 + n as i64});
    if n % 100 == 99 {
        reading["station"] = Value::Null;
    }
    reading
}

/// A server that takes what it is sent.
fn collecting(answer: fn() -> Reply) -> (String, Arc<Mutex<Vec<loopback::Request>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let held = requests.clone();
    let url = loopback::serve(move |request| {
        held.lock().expect("no test panics in here").push(request);
        answer()
    });
    (url, requests)
}

fn metrics(requests: &[loopback::Request]) -> BTreeMap<String, (f64, f64)> {
    let mut sums = BTreeMap::<String, (f64, f64)>::new();
    for request in requests {
        let mut body = Vec::new();
        match request.header("content-encoding") {
            Some("gzip") => drop(flate2::read::GzDecoder::new(&request.body[..]).read_to_end(&mut body).expect("gzip")),
            _ => body.extend_from_slice(&request.body),
        }
        for point in cbor::read(&body)["MetricData"].as_array().expect("data points") {
            let station = point["Dimensions"][0]["Value"].as_str().expect("a station").to_owned();
            let sum = sums.entry(station).or_default();
            let numbers = |name: &str| {
                point[name]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|n| n.as_f64().expect("a number"))
                    .collect::<Vec<_>>()
            };
            for (value, count) in numbers("Values").into_iter().zip(numbers("Counts")) {
                *sum = (sum.0 + count, sum.1 + count * value);
            }
        }
    }
    sums
}

/// Readings into a table, a topic, a server and metrics → the last one of each station is an item, the high ones are messages with their
/// subjects, all of them come to the server, signed, and add up in the metrics; those of nobody are dead letters where a station is
/// wanted.
#[test]
fn each_reading_gets_where_it_should() {
    let Some(moto) = MOTO.url() else { return };
    let schema = json!([{"AttributeName": "station", "KeyType": "HASH"}]);
    let types = json!([{"AttributeName": "station", "AttributeType": "S"}]);
    let create = json!({"TableName": "readings", "AttributeDefinitions": types, "KeySchema": schema, "BillingMode": "PAY_PER_REQUEST"});
    ask(moto, "dynamodb", Some("CreateTable"), &create.to_string());
    let topic = element(&ask(moto, "sns", None, "Action=CreateTopic&Name=high"), "TopicArn").remove(0);
    let queue = element(
        &ask(
            moto,
            "sqs",
            None,
            "Action=CreateQueue&QueueName=high&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=43200",
        ),
        "QueueUrl",
    )
    .remove(0);
    let arn = topic.replace(":sns:", ":sqs:");
    ask(moto, "sns", None, &format!("Action=Subscribe&TopicArn={topic}&Protocol=sqs&Endpoint={arn}"));
    let (hook, hooked) = collecting(|| Reply::Json(200, "{}".to_owned()));
    let (cloudwatch, counted) = collecting(|| {
        Reply::Full(
            200,
            vec![("content-type", "application/cbor".to_owned()), ("smithy-protocol", "rpc-v2-cbor".to_owned())],
            vec![0xa0],
        )
    });

    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_millis() as i64;
    let readings: Vec<_> = (0..READINGS).map(|n| reading(n, now)).collect();
    let dir = tempfile::tempdir().expect("a folder");
    let lines: String = readings.iter().map(|reading| format!("{reading}\n")).collect();
    fs::write(dir.path().join("in.jsonl"), lines).expect("it can be written");
    let access = "region = \"us-east-1\"\naccess_key_id = \"${KEY}\"\nsecret_access_key = \"${KEY}\"";
    let text = format!(
        "name = \"alarms\"\n[source.readings]\ntype = \"replay\"\npath = \"{}\"\nevent_time = \"/t: time(unix-ms)\"\n\
         watermark = {{ disorder = \"1s\" }}\n\
         [sink.table]\ninput = \"readings\"\ntype = \"dynamodb\"\ntable = \"readings\"\nversion = \"/n\"\nendpoint = \"{moto}\"\n{access}\n\
         [sink.topic]\ninput = \"readings\"\ntype = \"sns\"\ntopic = \"{topic}\"\nfilter = ['/severity = \"high\"']\n\
         subject = \"{{/station?}} is {{/severity}}\"\nmessage = \"{{/n}}\"\nendpoint = \"{moto}\"\n{access}\n\
         [sink.hook]\ninput = \"readings\"\ntype = \"http\"\nurl = \"{hook}/in\"\nbody = \"array\"\nsigning_secret = \"${{KEY}}\"\n\
         [sink.metrics]\ninput = \"readings\"\ntype = \"cloudwatch\"\nnamespace = \"air\"\nmetric = \"level\"\nvalue = \"/level\"\n\
         dimensions = {{ station = \"/station\" }}\nresolution = 1\nendpoint = \"{cloudwatch}\"\n{access}\n\
         [dead_letter]\ntype = \"file\"\npath = \"{}\"\n",
        dir.path().join("in.jsonl").display(),
        dir.path().join("dead.jsonl").display(),
    );
    let ledger = Job::new(text).set("KEY", "test").workers(2).run();

    let is_somebody = |reading: &&Value| !reading["station"].is_null();
    let nobodys = readings.iter().filter(|reading| reading["station"].is_null()).count();
    let counts = |sink: &str| {
        let counts = ledger.step(sink).expect("a sink").counts();
        (counts.written as usize, counts.filtered as usize, counts.rejected as usize)
    };
    let high: BTreeSet<_> = readings
        .iter()
        .filter(|reading| reading["severity"] == "high")
        .map(|reading| reading["n"].to_string())
        .collect();
    assert_eq!(counts("table"), (READINGS - nobodys, 0, nobodys));
    assert_eq!(counts("topic"), (high.len(), READINGS - high.len(), 0));
    assert_eq!(counts("hook"), (READINGS, 0, 0));
    assert_eq!(counts("metrics"), (READINGS - nobodys, 0, nobodys));
    let dead = fs::read_to_string(dir.path().join("dead.jsonl")).expect("dead letters");
    assert_eq!(dead.lines().count(), 2 * nobodys);

    let found: Value =
        serde_json::from_str(&ask(moto, "dynamodb", Some("Scan"), "{\"TableName\":\"readings\"}")).expect("JSON");
    let items: BTreeMap<_, _> = found["Items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| {
            (
                item["station"]["S"].as_str().expect("a station").to_owned(),
                item["n"]["N"].as_str().expect("a number").to_owned(),
            )
        })
        .collect();
    let station = |reading: &Value| reading["station"].as_str().expect("a station").to_owned();
    let latest: BTreeMap<_, _> =
        readings.iter().filter(is_somebody).map(|reading| (station(reading), reading["n"].to_string())).collect();
    assert_eq!(items, latest);

    let mut messages = Vec::new();
    loop {
        let answer = ask(moto, "sqs", None, &format!("Action=ReceiveMessage&QueueUrl={queue}&MaxNumberOfMessages=10"));
        let bodies = element(&answer, "Body");
        if bodies.is_empty() {
            break;
        }
        // Received once, a message is not seen again for hours.
        messages.extend(
            bodies.iter().map(|body| serde_json::from_str::<Value>(&body.replace("&quot;", "\"")).expect("JSON")),
        );
    }
    let numbers: BTreeSet<_> =
        messages.iter().map(|message| message["Message"].as_str().expect("a text").to_owned()).collect();
    assert_eq!(numbers, high);
    for message in &messages {
        let n: usize = message["Message"].as_str().expect("a text").parse().expect("a number");
        let subject = format!("{} is high", readings[n]["station"].as_str().unwrap_or_default());
        assert_eq!(message["Subject"], subject.trim());
    }

    let hooked = hooked.lock().expect("no test panics in here");
    assert!(
        hooked
            .iter()
            .all(|request| request.header("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")))
    );
    let sent: Vec<Value> = hooked
        .iter()
        .flat_map(|request| serde_json::from_slice::<Vec<Value>>(&request.body).expect("an array"))
        .collect();
    assert_eq!(sent, readings, "in order");

    let mut sums = BTreeMap::<String, (f64, f64)>::new();
    for reading in readings.iter().filter(is_somebody) {
        let sum = sums.entry(station(reading)).or_default();
        *sum = (sum.0 + 1.0, sum.1 + reading["level"].as_f64().expect("a number"));
    }
    assert_eq!(metrics(&counted.lock().expect("no test panics in here")), sums);
}
