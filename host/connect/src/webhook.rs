//! The `http` sink: rows as JSON to a server, one in a request or several, signed as Standard Webhooks has it
//! (<https://www.standardwebhooks.com>). A request whose answer is lost is sent again under the same id, by which the server can
//! tell.

mod payload;
mod server;
mod settings;
mod signature;

pub use settings::check;

use crate::requests::{Outbox, Repeats, RowWriter, Size};
use async_trait::async_trait;
use payload::Payloads;
use server::Server;
use settings::Settings;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Guarantee, Result};

struct Webhook {
    settings: Settings,
}

#[async_trait]
impl Sink for Webhook {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let Settings { requests, batch_rows, batch_bytes, .. } = &self.settings;
        let server = Server::open(&self.settings).await?;
        let size = Size { items: *batch_rows, bytes: *batch_bytes };
        let outbox = Outbox::new(server, opening.ledger.clone(), requests, size, Repeats::Together);
        let interval = requests.flush_interval;
        let payloads = Payloads::new(self.settings.order_by, opening.job);
        Ok(Box::new(RowWriter::new(payloads, outbox, opening.ledger, interval)))
    }
}
