//! The fake Kinesis, asked by the SDK of AWS: what is stricter than the emulators, and what they do not have. What it has in
//! common with them is shown by the tests of the source, which run over all three.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Keys, Limits, PushFault, PutFault, Record, arn, sequence};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, ShardIteratorType, ShardIteratorType::TrimHorizon, StartingPosition,
    SubscribeToShardEventStream,
};

const STREAM: &str = crate::fake_kinesis::STREAM;

fn client(fake: &FakeKinesis, secret: &str, token: Option<&str>) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("AKID", secret, token.map(str::to_owned), None, "tests"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(&fake.url)
        .build();
    Client::from_conf(config)
}

fn plain(fake: &FakeKinesis) -> Client {
    client(fake, "secret", None)
}

/// A stream of one shard `a` with so many records.
fn stream(records: usize) -> FakeKinesis {
    let records = (0..records).map(|at| Record::of(at.to_string())).collect();
    FakeKinesis::start([("a", FakeShard { records, ..FakeShard::default() })])
}

fn code<T, E: ProvideErrorMetadata, R>(answer: Result<T, SdkError<E, R>>) -> Option<String> {
    answer.err().and_then(|error| error.as_service_error().and_then(|error| error.code().map(str::to_owned)))
}

async fn iterator(client: &Client) -> String {
    let request = client.get_shard_iterator().stream_name(STREAM).shard_id("a").shard_iterator_type(TrimHorizon);
    request.send().await.expect("an iterator").shard_iterator.expect("an iterator")
}

async fn put(client: &Client, records: &[(&str, Vec<u8>)]) -> PutRecordsOutput {
    let entries = records.iter().map(|(key, data)| {
        let entry = PutRecordsRequestEntry::builder().partition_key(*key).data(Blob::new(data.clone()));
        entry.build().expect("key and data")
    });
    client.put_records().stream_name(STREAM).set_records(Some(entries.collect())).send().await.expect("an answer")
}

/// Six reads of a shard at once → the sixth is throttled; a second later it is not. An iterator that is five minutes old has
/// expired, and records that are a day old are gone.
#[tokio::test]
async fn limits_and_ages() {
    let fake = stream(3);
    fake.state().limits = Some(Limits::of_aws());
    fake.state().clock.stop();
    let client = plain(&fake);
    let iterator = iterator(&client).await;
    let read = || client.get_records().shard_iterator(&iterator).send();
    for _ in 0..5 {
        read().await.expect("five reads are allowed");
    }
    assert_eq!(code(read().await).as_deref(), Some("ProvisionedThroughputExceededException"));
    fake.state().pass(1_000);
    assert_eq!(read().await.expect("another second").records().len(), 3);
    fake.state().pass(300_000);
    assert_eq!(code(read().await).as_deref(), Some("ExpiredIteratorException"));
    fake.state().pass(86_400_000);
    let iterator = self::iterator(&client).await;
    let page = client.get_records().shard_iterator(iterator).send().await.expect("a page");
    assert!(page.records().is_empty());
}

/// A page of more than two megabytes → the shard gives no more until that is paid off.
#[tokio::test]
async fn large_pages_are_paid_off() {
    let records = (0..10).map(|_| Record::of(vec![b'x'; 1_000_000])).collect();
    let fake = FakeKinesis::start([("a", FakeShard { records, ..FakeShard::default() })]);
    fake.state().limits = Some(Limits::of_aws());
    fake.state().clock.stop();
    let client = plain(&fake);
    let iterator = iterator(&client).await;
    let read = || client.get_records().shard_iterator(&iterator).send();
    assert_eq!(read().await.expect("a page").records().len(), 10);
    for (millis, is_open) in [(1_000, false), (2_000, false), (2_000, true)] {
        fake.state().pass(millis);
        assert_eq!(read().await.is_ok(), is_open, "{millis}");
    }
}

/// More than a shard takes in a second, and scripted refusals → some records are refused, by their place; what a server has
/// stored without saying so is there.
#[tokio::test]
async fn writes_fail_in_part() {
    let fake = stream(0);
    let client = plain(&fake);
    let megabyte = vec![b'x'; 1 << 19];
    fake.state().limits = Some(Limits::of_aws());
    let answer = put(&client, &[("k", megabyte.clone()), ("k", megabyte.clone()), ("k", b"small".to_vec())]).await;
    let codes: Vec<_> = answer.records().iter().map(|item| item.error_code().is_none()).collect();
    assert_eq!((answer.failed_record_count(), codes), (Some(1), vec![true, false, true]));
    fake.state().limits = None;
    fake.state().puts_meet([Some(PutFault::Every(2)), Some(PutFault::StoredButBroken)]);
    let answer = put(&client, &[("k", b"1".to_vec()), ("k", b"2".to_vec())]).await;
    assert_eq!(answer.records()[1].error_code(), Some("ProvisionedThroughputExceededException"));
    let entry = PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new("3")).build().expect("an entry");
    let lost = client.put_records().stream_name(STREAM).records(entry).send().await;
    assert_eq!(code(lost).as_deref(), Some("InternalFailure"));
    let stored = fake.state().shards["a"].records.iter().map(|record| record.data.len()).collect::<Vec<_>>();
    assert_eq!(stored, [1 << 19, 5, 1, 1]);
}

/// Keys, token and time are checked → the SDK's signature is right, another secret or token is not; a clock that is twenty
/// minutes off is refused once, and the SDK learns the time from the answer.
#[tokio::test]
async fn signatures_are_checked() {
    let fake = stream(0);
    let token = "a token";
    fake.state().keys = Some(Keys { id: "AKID".into(), secret: "secret".into(), token: Some(token.into()) });
    let describe = async |client: &Client| code(client.describe_stream_summary().stream_name(STREAM).send().await);
    let good = client(&fake, "secret", Some(token));
    assert_eq!(describe(&good).await, None);
    assert_eq!(describe(&client(&fake, "other", Some(token))).await.as_deref(), Some("InvalidSignatureException"));
    assert_eq!(describe(&client(&fake, "secret", None)).await.as_deref(), Some("ExpiredTokenException"));
    for millis in [1_200_000, -2_400_000] {
        fake.state().clock.ahead += millis;
        assert_eq!(describe(&good).await.as_deref(), Some("InvalidSignatureException"));
        assert_eq!(describe(&good).await, None);
    }
}

/// Registers a consumer and waits until it may subscribe. Returns its ARN.
async fn consumer(client: &Client) -> String {
    let registered = client.register_stream_consumer().stream_arn(arn()).consumer_name("reader").send().await;
    let arn = registered.expect("it is new").consumer.expect("a description").consumer_arn;
    let describe = || client.describe_stream_consumer().consumer_arn(&arn).send();
    let status = async || describe().await.expect("it is there").consumer_description.map(|is| is.consumer_status);
    assert_eq!(status().await.map(|status| status.to_string()).as_deref(), Some("CREATING"));
    assert_eq!(status().await.map(|status| status.to_string()).as_deref(), Some("ACTIVE"));
    arn
}

async fn subscribe(client: &Client, consumer: &str, from: StartingPosition) -> Result<SubscribeToShardOutput, String> {
    let request = client.subscribe_to_shard().consumer_arn(consumer).shard_id("a").starting_position(from);
    let answer = request.send().await;
    answer.map_err(|error| error.as_service_error().and_then(|error| error.code()).unwrap_or_default().to_owned())
}

fn horizon() -> StartingPosition {
    StartingPosition::builder().r#type(TrimHorizon).build().expect("a place")
}

/// The data of the next so many records, and how to go on.
async fn take(subscription: &mut SubscribeToShardOutput, records: usize) -> (Vec<String>, String) {
    let (mut all, mut next) = (Vec::new(), String::new());
    while all.len() < records {
        let event = subscription.event_stream.recv().await.expect("an event").expect("it goes on");
        let SubscribeToShardEventStream::SubscribeToShardEvent(event) = event else { panic!("an unknown event") };
        all.extend(event.records.iter().map(|record| String::from_utf8_lossy(record.data.as_ref()).into_owned()));
        next = event.continuation_sequence_number;
    }
    (all, next)
}

/// A subscription, with a greeting and without → records as they come; the number to go on with is that of no record; after
/// five minutes it ends, and another goes on where it was.
#[tokio::test]
async fn records_are_pushed() {
    for greets in [true, false] {
        let fake = stream(150);
        fake.state().greets = greets;
        let client = plain(&fake);
        let consumer = consumer(&client).await;
        let mut subscription = subscribe(&client, &consumer, horizon()).await.expect("a subscription");
        let (records, _) = take(&mut subscription, 150).await;
        assert_eq!(records, (0..150).map(|at| at.to_string()).collect::<Vec<_>>());
        fake.state().put(0, "150");
        let (_, next) = take(&mut subscription, 1).await;
        assert_ne!(next, sequence(150));
        fake.state().pass(300_000);
        while subscription.event_stream.recv().await.expect("it ends well").is_some() {}
        fake.state().put(0, "151");
        let place = StartingPosition::builder().r#type(ShardIteratorType::AtSequenceNumber).sequence_number(next);
        let again = subscribe(&client, &consumer, place.build().expect("a place")).await;
        assert_eq!(take(&mut again.expect("a subscription"), 1).await.0, ["151"]);
    }
}

/// A second subscription at once, and one five seconds later → the one is refused, the other takes over.
#[tokio::test]
async fn one_subscription_at_a_time() {
    let fake = stream(1);
    let client = plain(&fake);
    let consumer = consumer(&client).await;
    let mut first = subscribe(&client, &consumer, horizon()).await.expect("a subscription");
    let refused = subscribe(&client, &consumer, horizon()).await.err();
    assert_eq!(refused.as_deref(), Some("ResourceInUseException"));
    fake.state().pass(5_000);
    let mut second = subscribe(&client, &consumer, horizon()).await.expect("it takes over");
    assert_eq!(take(&mut second, 1).await.0, ["0"]);
    let error = loop {
        match first.event_stream.recv().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends without a reason"),
            Err(error) => break error,
        }
    };
    let error = error.as_service_error().expect("the service says why");
    assert!(error.is_resource_in_use_exception(), "{error}");
}

/// Scripted ends of a subscription → what came before is there, and the end is what it should be. A closed shard names its
/// children with the last event.
#[tokio::test]
async fn subscriptions_end_by_script() {
    for (fault, is_error) in [(PushFault::Cut, true), (PushFault::Fails, true), (PushFault::Ends, false)] {
        let fake = stream(150);
        fake.state().push_faults.insert("a".to_owned(), [Some(fault)].into());
        let client = plain(&fake);
        let consumer = consumer(&client).await;
        let mut subscription = subscribe(&client, &consumer, horizon()).await.expect("a subscription");
        assert_eq!(take(&mut subscription, 1).await.0.len(), 100);
        let end = subscription.event_stream.recv().await;
        assert_eq!(end.is_err(), is_error, "{fault:?}: {end:?}");
    }
    let fake = stream(1);
    fake.state().split("a");
    let client = plain(&fake);
    let consumer = consumer(&client).await;
    let mut subscription = subscribe(&client, &consumer, horizon()).await.expect("a subscription");
    let event = subscription.event_stream.recv().await.expect("an event").expect("it goes on");
    let SubscribeToShardEventStream::SubscribeToShardEvent(event) = event else { panic!("an unknown event") };
    assert_eq!((event.records.len(), event.child_shards().len()), (1, 2));
    assert!(subscription.event_stream.recv().await.expect("it ends well").is_none());
}
