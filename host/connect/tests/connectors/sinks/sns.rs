//! Topics on moto, with a queue that gets what is published.

use super::network::{Dialect, Network, Parcel, answer_with, body_of, request_with};
use super::run::number;
use super::subject::{Applies, Bound, Order, Subject};
use crate::fake_s3::texts;
use crate::harness;
use crate::loopback::{Reply, Request};
use crate::servers::MOTO;
use crate::sns::ask;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use url::form_urlencoded::{Serializer, parse};
use wasmill_stream::sink::Sink;

const DIALECT: Dialect = Dialect {
    parcel,
    throttled: || failure(400, "Throttling"),
    broken: || failure(500, "InternalFailure"),
    expired: || failure(403, "ExpiredToken"),
    partly: Some(partly),
};
const MEMBER: &str = "PublishBatchRequestEntries.member.";

fn failure(status: u16, code: &str) -> Reply {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>by plan</Message></Error>");
    let body = format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>");
    Reply::Full(status, vec![("content-type", "text/xml".to_owned())], body.into_bytes())
}

/// The messages of a request, each by what it consists of.
fn messages(request: &Request) -> Vec<BTreeMap<String, String>> {
    let mut messages = BTreeMap::<usize, BTreeMap<String, String>>::new();
    for (name, value) in parse(&request.body) {
        if let Some((member, part)) = name.strip_prefix(MEMBER).and_then(|name| name.split_once('.')) {
            let member = member.parse().expect("members have numbers");
            messages.entry(member).or_default().insert(part.to_owned(), value.into_owned());
        }
    }
    messages.into_values().collect()
}

fn parcel(request: &Request) -> Option<Parcel> {
    let rows = messages(request).len();
    (rows > 0).then_some(Parcel { rows, bytes: request.body.len() })
}

/// Every third message fails, the first among them.
fn partly(request: &Request, send: &dyn Fn(&Request) -> Vec<u8>) -> Vec<u8> {
    let (left, taken): (Vec<_>, Vec<_>) = messages(request).into_iter().enumerate().partition(|(at, _)| at % 3 == 0);
    let mut body = Serializer::new(String::new());
    body.extend_pairs(parse(&request.body).filter(|(name, _)| !name.starts_with(MEMBER)));
    for (member, (_, message)) in taken.iter().enumerate() {
        let name = |part: &String| format!("{MEMBER}{}.{part}", member + 1);
        body.extend_pairs(message.iter().map(|(part, value)| (name(part), value)));
    }
    let answer = if taken.is_empty() { Vec::new() } else { body_of(&send(&request_with(request, body.finish()))) };
    let answer = String::from_utf8(answer).expect("the server answers in XML");
    let done: String = texts(&answer, "Id").iter().map(|id| format!("<member><Id>{id}</Id></member>")).collect();
    let fault = "<Code>InternalError</Code><SenderFault>false</SenderFault>";
    let failed: String =
        left.iter().map(|(_, one)| format!("<member><Id>{}</Id>{fault}</member>", one["Id"])).collect();
    let result =
        format!("<PublishBatchResult><Successful>{done}</Successful><Failed>{failed}</Failed></PublishBatchResult>");
    answer_with(200, format!("<PublishBatchResponse>{result}</PublishBatchResponse>"))
}

/// A topic and the way to it.
pub struct Topic {
    network: Network,
    arn: String,
    queue: String,
    /// What the queue has given.
    received: Mutex<Vec<usize>>,
}

impl Topic {
    pub async fn standard() -> Option<Self> {
        Self::create("", &[])
    }

    pub async fn fifo() -> Option<Self> {
        Self::create(".fifo", &[("FifoTopic", "true")])
    }

    fn create(ending: &str, attributes: &[(&str, &str)]) -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let url = MOTO.url()?;
        let name = format!("suite-{}{ending}", NUMBER.fetch_add(1, Relaxed));
        let (mut topic, mut queue) = (vec![("Name", name.as_str())], vec![("QueueName", name.as_str())]);
        for (attribute, value) in attributes {
            topic.extend([("Attributes.entry.1.key", *attribute), ("Attributes.entry.1.value", value)]);
            queue.extend([("Attribute.1.Name", "FifoQueue"), ("Attribute.1.Value", value)]);
        }
        let made = |service, action, name, parameters: &[_]| {
            texts(&ask(service, &[&[("Action", action)], parameters].concat()).expect("it was there"), name).remove(0)
        };
        let arn = made("sns", "CreateTopic", "TopicArn", &topic);
        let queue = made("sqs", "CreateQueue", "QueueUrl", &queue);
        let to = arn.replace(":sns:", ":sqs:");
        let raw = [("Attributes.entry.1.key", "RawMessageDelivery"), ("Attributes.entry.1.value", "true")];
        let subscription = [&[("TopicArn", arn.as_str()), ("Protocol", "sqs"), ("Endpoint", &to)], &raw[..]].concat();
        made("sns", "Subscribe", "SubscriptionArn", &subscription);
        Some(Self { network: Network::to(url, DIALECT), arn, queue, received: Mutex::default() })
    }
}

#[async_trait]
impl Subject for Topic {
    const KIND: &'static str = "sns";

    fn sink(&self, more: &str) -> Box<dyn Sink> {
        let (arn, url, lender) = (&self.arn, &self.network.url, &self.network.lender);
        let group = if arn.ends_with(".fifo") { "group_id = \"/key\"\n" } else { "" };
        let text = format!("topic = \"{arn}\"\nendpoint = \"{url}\"\nstart_timeout = \"1m\"\n{group}{more}");
        harness::sink_of_role(Self::KIND, &text, lender).expect("good settings")
    }

    async fn visible(&self) -> Vec<usize> {
        let mut received = self.received.lock().expect("no test panics in here");
        let asked = |action: &str, name: &str, value: &str| {
            let pairs = [("Action", action), ("QueueUrl", self.queue.as_str()), (name, value)];
            ask("sqs", &pairs).expect("it was there")
        };
        loop {
            let answer = asked("ReceiveMessage", "MaxNumberOfMessages", "10");
            let bodies = texts(&answer, "Body");
            if bodies.is_empty() {
                return received.clone();
            }
            received.extend(bodies.iter().map(|body| number(body.replace("&quot;", "\"").as_bytes())));
            for handle in texts(&answer, "ReceiptHandle") {
                asked("DeleteMessage", "ReceiptHandle", &handle);
            }
        }
    }

    fn network(&self) -> Applies<&Network> {
        Ok(&self.network)
    }

    fn bound_of_rows(&self) -> Applies<Bound> {
        // A limit of the service, and not a setting.
        Ok(Bound { settings: "", most: 10 })
    }

    fn bound_of_bytes(&self) -> Applies<Bound> {
        Err("256 KiB, a limit of the service: see the sink's own tests")
    }

    fn bound_of_time(&self) -> Applies<&'static str> {
        Ok("flush_interval")
    }

    fn bound_of_memory(&self) -> Applies<Bound> {
        Ok(Bound { settings: "in_flight_bytes = \"64KiB\"", most: 256 << 10 })
    }

    fn order(&self) -> Applies<Order> {
        match self.arn.ends_with(".fifo") {
            true => Ok(Order::Kept("")),
            false => Err("a standard topic has no order"),
        }
    }

    fn poison(&self) -> Applies<(&'static str, &'static str)> {
        match self.arn.ends_with(".fifo") {
            true => Ok(("", "{\"n\":13}")),
            false => Err("any row is a message"),
        }
    }
}
