//! Servers of our own, which take lines of rows.

use super::network::{Dialect, Network, Parcel};
use super::run::number;
use super::subject::{Applies, Bound, Order, Subject};
use crate::harness;
use crate::loopback::{self, Reply, Request};
use async_trait::async_trait;
use std::sync::{Arc, Mutex};
use wasmill_stream::sink::Sink;

const DIALECT: Dialect = Dialect {
    parcel,
    throttled: || Reply::Full(429, vec![("retry-after", "0".to_owned())], Vec::new()),
    broken: || Reply::Full(500, Vec::new(), b"by plan".to_vec()),
    expired: || Reply::Full(401, Vec::new(), Vec::new()),
    partly: None,
};

fn lines(request: &Request) -> impl Iterator<Item = &[u8]> {
    request.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn parcel(request: &Request) -> Option<Parcel> {
    Some(Parcel { rows: lines(request).count(), bytes: request.body.len() })
}

/// A server and the way to it.
pub struct Webhook {
    network: Network,
    received: Arc<Mutex<Vec<usize>>>,
}

impl Webhook {
    pub async fn start() -> Option<Self> {
        let received = Arc::<Mutex<Vec<usize>>>::default();
        let receiving = received.clone();
        let url = loopback::serve(move |request| {
            receiving.lock().expect("no thread panics in here").extend(lines(&request).map(number));
            Reply::Full(204, Vec::new(), Vec::new())
        });
        Some(Self { network: Network::to(&url, DIALECT), received })
    }
}

#[async_trait]
impl Subject for Webhook {
    const KIND: &'static str = "http";

    fn sink(&self, more: &str) -> Box<dyn Sink> {
        let text = format!("url = \"{}/rows\"\nbody = \"lines\"\n{more}", self.network.url);
        harness::sink(Self::KIND, &text).expect("good settings")
    }

    async fn visible(&self) -> Vec<usize> {
        self.received.lock().expect("no thread panics in here").clone()
    }

    fn network(&self) -> Applies<&Network> {
        Ok(&self.network)
    }

    fn signs(&self) -> Applies<()> {
        Err("its secrets are those of the job file, and the same as long as the job runs")
    }

    fn bound_of_rows(&self) -> Applies<Bound> {
        Ok(Bound { settings: "batch_rows = 10", most: 10 })
    }

    fn bound_of_bytes(&self) -> Applies<Bound> {
        Ok(Bound { settings: "batch_bytes = \"8KiB\"", most: 8 << 10 })
    }

    fn bound_of_time(&self) -> Applies<&'static str> {
        Ok("flush_interval")
    }

    fn bound_of_memory(&self) -> Applies<Bound> {
        Ok(Bound { settings: "batch_bytes = \"32KiB\"\nin_flight_bytes = \"64KiB\"", most: 128 << 10 })
    }

    fn order(&self) -> Applies<Order> {
        Ok(Order::Kept("order_by = \"/key\"\nconcurrency = 4\nbatch_rows = 10"))
    }

    fn poison(&self) -> Applies<(&'static str, &'static str)> {
        Ok(("", "no JSON"))
    }
}
