//! Running a job in this process. Terminals and signals are the matter of `cli`.

use crate::job::Job;
use wasmill_engine::{Checkpoints, Running};
use wasmill_stream::Result;
use wasmill_stream::ledger::Ledger;

/// Starts a job; one with checkpoints goes on from the newest, unless `fresh`. Needs a tokio runtime.
pub async fn start(job: Job, fresh: bool) -> Result<Running> {
    let Job { name, mut options, graph, checkpoint, swap, file, declared, .. } = job;
    if let Some(settings) = checkpoint {
        options.checkpoints = Some(Checkpoints {
            store: settings.place.open().await?,
            interval: settings.interval,
            retain: settings.retain,
            rewind: swap.rewind,
            job: name,
            definition: file.text().to_owned(),
            fresh,
            declared,
        });
    }
    wasmill_engine::start(graph, options).await
}

/// Runs a job until its sources end and returns what became of all rows.
pub async fn to_end(job: Job) -> Result<Ledger> {
    start(job, false).await?.wait().await
}
