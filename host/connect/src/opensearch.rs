//! The `opensearch` sink: documents by `_bulk`, with ids that a replay gives again, each answered item judged by itself.
//! Index templates are not here.
//!
//! Results of windows come again with other values: as corrections, and from a run that goes on behind a checkpoint. In a job
//! with checkpoints they carry an external version, so that the newest result stays, whatever arrives last. Records never
//! change and need none. A data stream takes each id once and no versions: there a correction is a document of its own.

mod admission;
mod answer;
mod bulk;
mod delivery;
mod endpoints;
mod flights;
mod permits;
mod server;
mod settings;
mod undo;
mod version;
mod writer;

pub use settings::check;

use async_trait::async_trait;
use bulk::Action;
use server::Server;
use settings::{Collection, Settings};
use undo::Way;
use version::Versions;
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

    fn withdraws(&self) -> bool {
        // Without ids nothing can be found again.
        self.settings.collection == Collection::Documents
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let mut versions = Versions::of(opening.run)?;
        let server = Server::connect(&self.settings).await?;
        let is_data_stream = server.prepare(&self.settings).await?;
        if let (Some(withdrawal), Some(undo)) = (&opening.withdrawal, &opening.undo) {
            let way = if is_data_stream { Way::DataStream } else { Way::ById(versions.as_mut()) };
            undo::put_back(&server, &**undo, withdrawal, way).await?;
        }
        let action = match is_data_stream {
            true => Action::Create,
            false => Action::Index(versions),
        };
        Ok(Box::new(Writer::new(server, &self.settings, opening.ledger, action, opening.undo)))
    }
}
