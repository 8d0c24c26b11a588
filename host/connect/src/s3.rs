//! The `s3` sink: JSON lines in whole objects whose keys follow event time. An object is gathered in memory and put in one
//! request, so nobody ever sees half of one. Multipart uploads and exactly-once commits are not here.

mod object;
mod settings;
mod store;
mod writer;

pub use settings::check;

use async_trait::async_trait;
use settings::Settings;
use store::Store;
use wasmill_stream::Result;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use writer::Writer;

struct S3 {
    name: String,
    settings: Settings,
}

#[async_trait]
impl Sink for S3 {
    fn guarantee(&self) -> &'static str {
        "at-least-once: a job that starts again writes its rows again; every object is complete"
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let store = Store::open(&self.settings).await?;
        Ok(Box::new(Writer::new(&self.name, store, self.settings, opening.ledger)))
    }
}
