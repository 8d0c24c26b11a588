//! Buckets: on our fake, which is stricter than most and has a rule for each request, and on moto.

use super::network::{Dialect, Network, Parcel};
use super::run::number;
use super::subject::{Applies, Bound, Order, Subject};
use crate::fake_s3::FakeS3;
use crate::harness;
use crate::loopback::{Reply, Request};
use crate::moto::Moto;
use async_trait::async_trait;
use wasmill_stream::sink::Sink;

const DIALECT: Dialect = Dialect {
    parcel,
    throttled: || failure(503, "SlowDown"),
    broken: || failure(500, "InternalError"),
    expired: || failure(400, "ExpiredToken"),
    partly: None,
};

fn failure(status: u16, code: &str) -> Reply {
    let body = format!("<Error><Code>{code}</Code><Message>by plan</Message></Error>");
    Reply::Full(status, vec![("content-type", "application/xml".to_owned())], body.into_bytes())
}

/// Objects, and parts of objects, have rows; that an upload begins or is complete is written, too.
fn parcel(request: &Request) -> Option<Parcel> {
    match request.method.as_str() {
        "PUT" => {
            Some(Parcel { rows: request.body.iter().filter(|byte| **byte == b'\n').count(), bytes: request.body.len() })
        }
        "POST" => Some(Parcel::default()),
        _ => None,
    }
}

/// A bucket and the way to it.
pub struct Objects {
    network: Network,
    server: Server,
}

enum Server {
    Fake(FakeS3),
    Moto(Moto),
}

impl Objects {
    pub async fn fake() -> Option<Self> {
        let fake = FakeS3::start().await;
        Some(Self { network: Network::to(&fake.server.address, DIALECT), server: Server::Fake(fake) })
    }

    pub async fn moto() -> Option<Self> {
        let moto = Moto::start()?;
        let exchanged = Dialect { expired: || failure(403, "InvalidAccessKeyId"), ..DIALECT };
        Some(Self { network: Network::to(&moto.address, exchanged), server: Server::Moto(moto) })
    }
}

#[async_trait]
impl Subject for Objects {
    const KIND: &'static str = "s3";

    fn sink(&self, more: &str) -> Box<dyn Sink> {
        let bucket = match &self.server {
            Server::Fake(_) => "lake",
            Server::Moto(moto) => &moto.bucket,
        };
        let (url, lender) = (&self.network.url, &self.network.lender);
        let text = format!(
            "bucket = \"{bucket}\"\nendpoint = \"{url}\"\nregion = \"eu-west-1\"\nprefix = \"raw/\"\n\
             start_timeout = \"1m\"\n{more}"
        );
        harness::sink_of_role(Self::KIND, &text, lender).expect("good settings")
    }

    async fn visible(&self) -> Vec<usize> {
        let objects: Vec<Vec<u8>> = match &self.server {
            Server::Fake(fake) => fake.state().objects.values().map(|object| object.bytes.clone()).collect(),
            Server::Moto(moto) => moto.objects(),
        };
        let lines = objects.iter().flat_map(|bytes| bytes.split(|byte| *byte == b'\n'));
        lines.filter(|line| !line.is_empty()).map(number).collect()
    }

    fn network(&self) -> Applies<&Network> {
        Ok(&self.network)
    }

    fn bound_of_rows(&self) -> Applies<Bound> {
        Err("objects have as many rows as their bytes allow")
    }

    fn bound_of_bytes(&self) -> Applies<Bound> {
        Ok(Bound { settings: "object_bytes = \"4KiB\"", most: 4 << 10 })
    }

    fn bound_of_time(&self) -> Applies<&'static str> {
        Ok("roll_interval")
    }

    fn bound_of_memory(&self) -> Applies<Bound> {
        Ok(Bound { settings: "object_bytes = \"64KiB\"", most: 128 << 10 })
    }

    fn order(&self) -> Applies<Order> {
        Ok(Order::Kept("object_bytes = \"1KiB\""))
    }

    fn poison(&self) -> Applies<(&'static str, &'static str)> {
        Err("any row is a line; what does not fit columns is refused as in files")
    }
}
