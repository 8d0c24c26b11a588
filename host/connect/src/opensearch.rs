//! The `opensearch` sink: documents by `_bulk`, with ids that a replay gives again, each answered item judged by itself.
//! What has to be there before the first document is made in `preflight`.
//!
//! Results of windows come again with other values: as corrections, and from a run that goes on behind a checkpoint. In a job
//! with checkpoints they carry an external version, so that the newest result stays, whatever arrives last. Records never
//! change and need none. A data stream takes each id once and no versions: there a correction is a document of its own.

mod answer;
mod bulk;
mod collisions;
mod creation;
mod delivery;
mod endpoints;
mod identity;
mod mappings;
mod preflight;
mod server;
mod settings;
mod undo;
mod version;
mod writer;

pub use settings::check;

use crate::requests::{admission, flights, permits};
use async_trait::async_trait;
use bulk::Action;
use server::Server;
use settings::{Collection, Settings, Verb};
use undo::Way;
use version::Versions;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Error, Guarantee, Result};
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
        let Settings { collection, identity, .. } = &self.settings;
        // Without ids nothing can be found again, in a data stream nothing can be told from what was there before, and an older
        // version never takes the place of a newer one.
        let is_found = *collection == Collection::Documents && !(identity.id.is_some() && self.is_announced_stream());
        is_found && identity.version.is_none()
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let mut versions = Versions::of(opening.run)?;
        let server = Server::connect(&self.settings).await?;
        let is_data_stream = preflight::prepare(&server, &self.settings).await?;
        let action = self.action(is_data_stream, &server)?;
        if let (Some(withdrawal), Some(undo)) = (&opening.withdrawal, &opening.undo) {
            let way = if is_data_stream { Way::DataStream } else { Way::ById(versions.as_mut()) };
            undo::put_back(&server, &**undo, withdrawal, way).await?;
        }
        let action = match action {
            Verb::Index => Action::Index(versions),
            Verb::Create => Action::Create,
            Verb::Update => Action::Update { or_create: false },
            Verb::Upsert => Action::Update { or_create: true },
        };
        Ok(Box::new(Writer::new(server, &self.settings, opening.ledger, action, opening.undo)))
    }
}

impl OpenSearch {
    fn is_announced_stream(&self) -> bool {
        self.settings.data_stream == Some(true)
    }

    /// What is asked of the server for each document.
    fn action(&self, is_data_stream: bool, server: &Server) -> Result<Verb> {
        let is_announced = self.is_announced_stream();
        let wrong = |what: &str| Err(Error::invalid(format!("{server}: `index` is a data stream: {what}")));
        match (self.settings.verb, is_data_stream) {
            (verb, false) => Ok(verb.unwrap_or(Verb::Index)),
            (Some(verb), true) if verb != Verb::Create => wrong("it takes action = \"create\" only"),
            (_, true) if self.settings.identity.version.is_some() => wrong("it takes no `version`"),
            (_, true) if self.settings.identity.id.is_some() && !is_announced => {
                wrong("for rows with an `id` say so by `data_stream = true`")
            }
            (_, true) => Ok(Verb::Create),
        }
    }
}
