//! Who may change a running job: one after the other, and nobody any more once it is on its way to its next run.

use super::{Live, Settings};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};
use wasmill_engine::Candidacy;
use wasmill_stream::{Error, Result};

/// The turns at changing one job.
#[derive(Default)]
pub struct Turns {
    /// Whoever applies a job file. The file changes in no other way.
    file: Mutex<()>,
    /// Whoever changes what runs. Nothing is built or fetched meanwhile.
    turn: Mutex<Turn>,
}

/// What only whoever has the turn sees and changes.
#[derive(Default)]
pub struct Turn {
    /// The versions on trial that have come in this run, by step.
    pub entrants: HashMap<String, Entrant>,
    /// Whether the job goes on in another run.
    has_left: bool,
}

/// A version on trial.
pub struct Entrant {
    /// Its trial.
    pub candidacy: Arc<Candidacy>,
    /// The job file as it was read for it.
    pub settings: Arc<Settings>,
    /// Whether it is the component that the job file names.
    pub is_declared: bool,
}

impl Live {
    /// The turn at applying a job file.
    pub(super) async fn file_turn(&self) -> Result<MutexGuard<'_, ()>> {
        let file = self.turns.file.lock().await;
        self.turn().await.map(|_| file)
    }

    /// The turn at changing what runs.
    pub(super) async fn turn(&self) -> Result<MutexGuard<'_, Turn>> {
        let turn = self.turns.turn.lock().await;
        match turn.has_left {
            true => {
                Err(Error::unavailable("the job is on its way to its next run").hint("try again when it has begun"))
            }
            false => Ok(turn),
        }
    }

    /// The job is to be handed over. Nobody gets a turn any more.
    pub(super) async fn leave(&self) -> Result<()> {
        self.turn().await?.has_left = true;
        Ok(())
    }

    /// A trial is over. If it was that of the plugin that the job file names, the file has had its say: whatever runs now was
    /// put there later, and a restart must not bring back what was rolled back.
    pub(super) fn conclude(&self, turn: &mut Turn, step: &str, candidacy: &Candidacy) {
        if turn.entrants.remove(step).is_some_and(|entrant| entrant.is_declared) {
            self.declared.set(step, &candidacy.candidate().plugin().identity().digest);
        }
    }
}
