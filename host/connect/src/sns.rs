//! The `sns` sink: rows as messages to a topic. A standard topic takes what it is sent, so a row that is written again is a second
//! message; a FIFO topic leaves out a message that comes again within five minutes.

mod condition;
mod message;
mod settings;
mod topic;

pub use settings::check;

use crate::requests::{Outbox, Repeats, RowWriter, Size};
use async_trait::async_trait;
use message::Messages;
use settings::Settings;
use topic::Topic;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Guarantee, Result};

/// PublishBatch takes no more: <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>.
const SIZE: Size = Size { items: 10, bytes: 256 << 10 };

struct Sns {
    settings: Settings,
}

#[async_trait]
impl Sink for Sns {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let Settings { requests, .. } = &self.settings;
        let topic = Topic::open(&self.settings).await?;
        let outbox = Outbox::new(topic, opening.ledger.clone(), requests, SIZE, Repeats::Apart);
        let interval = requests.flush_interval;
        let messages = Messages::new(self.settings.rows, opening.job);
        Ok(Box::new(RowWriter::new(messages, outbox, opening.ledger, interval)))
    }
}
