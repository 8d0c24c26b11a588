//! One suite for all sinks: what each of them must do, over every other side that there is here. The servers are real where
//! there are any; what they do not do by themselves happens on the way to them.

mod cases;
mod cloudwatch;
mod dynamodb;
mod file;
mod http;
mod kinesis;
mod network;
mod opensearch;
mod run;
mod s3;
mod sns;
mod stdout;
mod subject;

use crate::harness::PATIENCE;
use subject::Subject;
use wasmill_connect::SINKS;

/// Every case over one subject, each with another side of its own. Without a subject there is a server that cannot be had here.
macro_rules! cases {
    ($start:expr) => {
        cases!($start; counts_what_is_safe, bounds_of_rows, bounds_of_bytes, bound_of_time, order_of_keys, retries,
            lost_answers, barriers, shutdown, bound_of_memory);

        /// See [`credentials_are_exchanged`].
        pub async fn credentials() {
            if let Some(subject) = $start.await {
                super::cases::credentials(&subject).await;
            }
        }
    };
    ($start:expr; $($case:ident),*) => {
        $(#[tokio::test]
        async fn $case() {
            let Some(subject) = $start.await else { return };
            super::in_time(super::cases::$case(&subject)).await;
        })*
    };
}

macro_rules! subjects {
    ($($name:ident: $subject:ty = $start:ident;)*) => {
        $(mod $name {
            use super::*;
            cases!(<$subject>::$start());
        })*

        /// The kinds of sinks that have one.
        const KINDS: &[&str] = &[$(<$subject>::KIND),*];

        /// Credentials that are exchanged while a sink writes, the old ones refused → it goes on with the new ones. All at once, as
        /// each waits before it asks for others.
        #[tokio::test]
        async fn credentials_are_exchanged() {
            in_time(async { tokio::join!($($name::credentials()),*) }).await;
        }
    };
}

subjects! {
    file_lines: file::Files = lines;
    file_csv: file::Files = csv;
    file_parquet: file::Files = parquet;
    stdout_pipe: stdout::Pipe = start;
    s3_fake: s3::Objects = fake;
    s3_moto: s3::Objects = moto;
    opensearch_fake: opensearch::Documents = fake;
    opensearch_server: opensearch::Documents = server;
    kinesis_fake: kinesis::Records = fake;
    kinesis_mock: kinesis::Records = kinesis_mock;
    kinesis_kinesalite: kinesis::Records = kinesalite;
    kinesis_packed: kinesis::Records = packed;
    kinesis_kinesalite_packed: kinesis::Records = kinesalite_packed;
    dynamodb_moto: dynamodb::Tables = moto;
    sns_standard: sns::Topic = standard;
    sns_fifo: sns::Topic = fifo;
    http_lines: http::Webhook = start;
    cloudwatch_fake: cloudwatch::Metrics = fake;
}

/// Every sink has a subject in the suite.
#[test]
fn no_sink_is_left_out() {
    let without: Vec<_> = SINKS.iter().map(|sink| sink.name).filter(|name| !KINDS.contains(name)).collect();
    assert!(without.is_empty(), "without a subject in `sinks.rs`: {without:?}");
}

async fn in_time<T>(case: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, case).await.expect("it comes to an end in time")
}
