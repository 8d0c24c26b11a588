//! Servers of Kinesis: one of ours, and two that others wrote.

use crate::fake_kinesis::{self, FakeKinesis};
use crate::servers::{KINESALITE, KINESIS_LOCAL, Server};

/// A server that the suite runs over.
pub trait KinesisServer {
    /// Its URL, without a slash at the end; `None`: it cannot be had here.
    fn url(&self) -> Option<&str>;

    /// The name of the stream that a test calls so. A test that runs twice on one server has two names.
    fn stream(&self, name: &str) -> String;

    /// Whether it can be asked for what comes from now on.
    fn knows_now(&self) -> bool;

    /// Whether it has consumers, and sends them what comes.
    fn pushes(&self) -> bool;

    /// Whether it ends the subscriptions to a shard that was split or merged.
    fn ends_subscriptions(&self) -> bool;
}

/// Ours.
pub struct Fake(FakeKinesis);

impl Fake {
    /// One without a stream.
    pub fn start() -> Self {
        Self(FakeKinesis::empty())
    }
}

impl KinesisServer for Fake {
    fn url(&self) -> Option<&str> {
        Some(&self.0.url)
    }

    fn stream(&self, _: &str) -> String {
        fake_kinesis::STREAM.to_owned()
    }

    fn knows_now(&self) -> bool {
        true
    }

    fn pushes(&self) -> bool {
        true
    }

    fn ends_subscriptions(&self) -> bool {
        true
    }
}

/// A server that others wrote, which the tests share.
pub struct Emulator {
    server: &'static Server,
    knows_now: bool,
    pushes: bool,
}

impl Emulator {
    /// kinesis-mock. It forgets to say that a subscribed shard has ended.
    pub fn kinesis_mock() -> Self {
        Self { server: &KINESIS_LOCAL, knows_now: true, pushes: true }
    }

    /// kinesalite, which has the older half of the API, and ends when it is asked for a time behind its last record.
    pub fn kinesalite() -> Self {
        Self { server: &KINESALITE, knows_now: false, pushes: false }
    }
}

impl KinesisServer for Emulator {
    fn url(&self) -> Option<&str> {
        self.server.url()
    }

    fn stream(&self, name: &str) -> String {
        name.to_owned()
    }

    fn knows_now(&self) -> bool {
        self.knows_now
    }

    fn pushes(&self) -> bool {
        self.pushes
    }

    fn ends_subscriptions(&self) -> bool {
        false
    }
}
