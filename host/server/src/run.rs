//! Running a job in this process. Terminals and signals are the matter of `cli`.

use crate::job::Job;
use wasmill_engine::Running;
use wasmill_stream::Result;
use wasmill_stream::ledger::Ledger;

/// Starts a job. Needs a tokio runtime.
pub async fn start(job: Job) -> Result<Running> {
    wasmill_engine::start(job.graph, job.options).await
}

/// Runs a job until its sources end and returns what became of all rows.
pub async fn to_end(job: Job) -> Result<Ledger> {
    start(job).await?.wait().await
}
