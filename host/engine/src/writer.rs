//! Drives one sink on the I/O runtime: takes batches from all workers, flushes in time, closes at the end.

use std::sync::Arc;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};
use wasmill_stream::sink::SinkWriter;
use wasmill_stream::{Batch, Result};

/// How many batches may wait for a sink, of all workers together. Batches are as large as the chunks that sources read.
pub const QUEUE: usize = 8;

/// Writes until all workers have let go of their senders.
pub async fn drive(mut writer: Box<dyn SinkWriter>, mut batches: Receiver<Arc<Batch>>) -> Result<()> {
    let interval = writer.flush_interval();
    let mut flush_at: Option<Instant> = None;
    loop {
        // Far away when nothing is buffered: the branch is then disabled.
        let deadline = flush_at.unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            () = sleep_until(deadline), if flush_at.is_some() => {
                writer.flush().await?;
                flush_at = None;
            }
            batch = batches.recv() => match batch {
                Some(batch) => {
                    writer.write(batch).await?;
                    flush_at.get_or_insert_with(|| Instant::now() + interval);
                }
                None => return writer.close().await,
            }
        }
    }
}
