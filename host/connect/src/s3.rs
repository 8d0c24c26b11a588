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
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Guarantee, Result};
use writer::Writer;

struct S3 {
    name: String,
    settings: Settings,
}

#[async_trait]
impl Sink for S3 {
    /// Every object is complete.
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let store = Store::open(&self.settings).await?;
        Ok(Box::new(Writer::new(&self.name, store, self.settings, opening.ledger)))
    }
}
