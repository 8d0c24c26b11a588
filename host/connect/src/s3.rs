//! The `s3` sink: whole objects of an open format, whose keys follow event time and fields of rows. An object is gathered in
//! memory, so nobody ever sees half of one. In a job with checkpoints it is visible when the checkpoint with its rows is published.

pub mod bucket;
mod listening;
mod orphans;
mod prepared;
pub mod settings;
mod store;
mod uploads;
mod writer;

pub use settings::{check, check_archive};

use crate::listing;
use async_trait::async_trait;
use bucket::Bucket;
use object_store::{Attribute, Attributes};
use settings::Settings;
use store::Store;
use uploads::Uploads;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Guarantee, Result};
use writer::{Outlet, Writer};

struct S3 {
    name: String,
    settings: Settings,
}

#[async_trait]
impl Sink for S3 {
    /// Every object is complete.
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn withdraws(&self) -> bool {
        true
    }

    fn keeps_rows(&self) -> bool {
        self.settings.format.keeps_rows()
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let Self { name, settings } = *self;
        listing::check(settings.lists, opening.commits)?;
        let bucket = Bucket::open(&settings.bucket).await?;
        let head = settings.partitions.head();
        bucket.find(&head, settings.bucket.patience).await?;
        let attributes = Attributes::from_iter([(Attribute::ContentType, settings.format.content_type())]);
        let outlet = match opening.commits {
            true => {
                Outlet::Committed(Uploads::open(bucket, attributes, &name, (head, settings.lists), &opening).await?)
            }
            false => Outlet::AtOnce(Store::new(bucket, attributes, &name, opening.ledger.clone())),
        };
        Ok(Box::new(Writer::new(outlet, settings, opening.run, opening.ledger)))
    }
}
