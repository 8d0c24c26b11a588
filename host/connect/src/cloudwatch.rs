//! The `cloudwatch` sink: values of rows as data points of metrics. Rows of one series and one second are put together before they
//! are sent. CloudWatch adds up what it is sent, so values that are written again count twice.

mod metrics;
mod reading;
mod series;
mod settings;
mod writer;

pub use settings::check;

use crate::requests::{Outbox, Repeats, Size};
use async_trait::async_trait;
use metrics::Metrics;
use settings::Settings;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Guarantee, Result};
use writer::Writer;

/// PutMetricData takes no more:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>.
const SIZE: Size = Size { items: 1_000, bytes: 1_000_000 };

struct CloudWatch {
    settings: Settings,
}

#[async_trait]
impl Sink for CloudWatch {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn keeps_rows(&self) -> bool {
        false
    }

    fn gives_up(&self) -> bool {
        true
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let metrics = Metrics::open(&self.settings).await?;
        let outbox = Outbox::new(metrics, &opening, &self.settings.requests, SIZE, Repeats::Together);
        Ok(Box::new(Writer::new(self.settings, outbox, opening.ledger)))
    }
}
