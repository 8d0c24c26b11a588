//! The `opensearch` sink: documents by `_bulk`, with ids that a replay gives again, each answered item judged by itself.
//! Index templates, data streams and the sampling of conflicts are not here.

mod answer;
mod bulk;
mod server;
mod settings;
mod writer;

pub use settings::check;

use async_trait::async_trait;
use server::Server;
use settings::{Collection, Settings};
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Guarantee, Result};
use writer::Writer;

struct OpenSearch {
    settings: Settings,
}

#[async_trait]
impl Sink for OpenSearch {
    fn guarantee(&self) -> Guarantee {
        match self.settings.collection {
            Collection::Documents => Guarantee::EffectivelyOnce,
            // This kind of collection refuses ids.
            Collection::WithoutIds => Guarantee::AtLeastOnce,
        }
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let server = Server::connect(&self.settings).await?;
        server.prepare(&self.settings).await?;
        Ok(Box::new(Writer::new(server, self.settings, opening.ledger)))
    }
}
