//! Requests that are on their way, each a task of its own: they go on while the sink waits for its next rows. Documents of one
//! id do not overtake each other: who has one of an id that is on its way waits until that has met its fate.

use std::collections::{HashMap, HashSet};
use tokio::task::{Id, JoinError, JoinSet};
use wasmill_stream::{Error, Result};

/// The requests of one sink. They end with this.
#[derive(Debug, Default)]
pub struct Flights {
    tasks: JoinSet<Result<()>>,
    /// The ids in each whose order counts.
    ids: HashMap<Id, HashSet<u64>>,
}

impl Flights {
    /// Sends off a request. `ids`: those in it whose order counts.
    pub fn depart(&mut self, request: impl Future<Output = Result<()>> + Send + 'static, ids: HashSet<u64>) {
        let task = self.tasks.spawn(request).id();
        if !ids.is_empty() {
            self.ids.insert(task, ids);
        }
    }

    /// Waits until nothing is on its way that these ids would overtake.
    pub async fn clear_way(&mut self, ids: &HashSet<u64>) -> Result<()> {
        while self.ids.values().any(|busy| !busy.is_disjoint(ids)) {
            self.land_one().await?;
        }
        Ok(())
    }

    /// The first error of those that have ended since the last call.
    pub fn check(&mut self) -> Result<()> {
        while let Some(landed) = self.tasks.try_join_next_with_id() {
            self.note(landed)?;
        }
        Ok(())
    }

    /// Waits until nothing is on its way.
    pub async fn land_all(&mut self) -> Result<()> {
        while !self.tasks.is_empty() {
            self.land_one().await?;
        }
        Ok(())
    }

    async fn land_one(&mut self) -> Result<()> {
        match self.tasks.join_next_with_id().await {
            Some(landed) => self.note(landed),
            None => Ok(()),
        }
    }

    fn note(&mut self, landed: Result<(Id, Result<()>), JoinError>) -> Result<()> {
        let (task, result) = landed.map_err(|error| Error::internal("a request of a sink").with_source(error))?;
        self.ids.remove(&task);
        result
    }
}
