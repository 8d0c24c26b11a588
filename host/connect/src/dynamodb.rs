//! The `dynamodb` sink: rows as items of a table, each in the place of the one with its key. What is written again is the same item
//! again. With versions an item gives way only to a newer one, whatever arrives last.

mod item;
mod number;
mod settings;
mod table;

pub use settings::check;

use crate::requests::{Outbox, Repeats, RowWriter, Size};
use async_trait::async_trait;
use item::Items;
use settings::Settings;
use table::Table;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Guarantee, Result};

/// BatchWriteItem takes no more:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>.
const SIZE: Size = Size { items: 25, bytes: 16 << 20 };

struct DynamoDb {
    settings: Settings,
}

#[async_trait]
impl Sink for DynamoDb {
    fn guarantee(&self) -> Guarantee {
        Guarantee::EffectivelyOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let Settings { requests, rows, .. } = &self.settings;
        let table = Table::open(&self.settings, opening.ledger.clone()).await?;
        let items = Items::new(rows, table.keys())?;
        // The table decides between versions, in whatever order they come.
        let repeats = if rows.version.is_some() { Repeats::Together } else { Repeats::Supersede };
        let outbox = Outbox::new(table, opening.ledger.clone(), requests, SIZE, repeats);
        Ok(Box::new(RowWriter::new(items, outbox, opening.ledger, requests.flush_interval)))
    }
}
