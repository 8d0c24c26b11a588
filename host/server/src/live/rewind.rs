//! Back to where a job was before a version took over, as if that had never run: to the checkpoint that was taken right before
//! it. What sinks have written since is taken back when the next run opens them.

use super::apply::examined;
use super::hand_over::HandOver;
use super::history::{Event, History, Reason, What};
use super::{Live, words};
use crate::job::{Job, JobFile, diff};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use wasmill_engine::{Declared, Journal, NodeKind, fits};
use wasmill_stream::checkpoint::{Kind, Manifest, PluginMark, Store};
use wasmill_stream::{Error, Result};

/// How long a version waits for the checkpoint before it. A job that stands still has none, and the version may be its cure.
const PATIENCE: Duration = Duration::from_secs(5);

/// A job on its way back to a checkpoint.
pub struct Rewind {
    /// The checkpoint.
    pub point: Manifest,
    step: String,
    declared: Declared,
    store: Arc<dyn Store>,
    history: History,
    /// What the history will say.
    event: Event,
}

impl Live {
    /// Takes a checkpoint to which the job can be rewound, and says what it has to say about that.
    pub(super) async fn rewind_point(&self) -> (Option<u64>, String) {
        let Some(points) = &self.rewind_points else { return (None, String::new()) };
        match timeout(PATIENCE, points.take()).await {
            Ok(Ok(number)) => {
                let long = words::duration(self.settings().swap.rewind);
                (Some(number), format!("; it can be undone with `wasmill rollback --rewind` for {long}"))
            }
            Ok(Err(error)) => (None, format!("; it cannot be rewound: {}", error.report())),
            Err(_) => (None, format!("; it cannot be rewound: there was no checkpoint within {PATIENCE:?}")),
        }
    }

    /// Finds the way back to the checkpoint before the last version that took over in a step. The job has to be handed over.
    pub async fn rewind(&self, step: &str, reason: Reason) -> Result<HandOver> {
        let Some(store) = self.store.clone() else {
            return Err(Error::invalid("the job keeps no checkpoints to go back to").hint("add a table [checkpoint]"));
        };
        // An unknown step is an error of its own.
        self.swapper.running(step).await?;
        // Another job file would be lost.
        let _file = self.file_turn().await?;
        let journal = Journal::new(store.clone());
        let newest =
            journal.newest().await?.ok_or_else(|| Error::unavailable("there is no checkpoint yet: try again"))?;
        let events = self.history();
        let undone = last_arrival(&events, step).ok_or_else(|| {
            Error::invalid(format!("no version has come into step {step} that could be rewound"))
                .hint("`wasmill history JOB STEP` lists what has come")
        })?;
        let kept = |number: &u64| newest.points.iter().any(|point| point.number == *number);
        let number = undone.point.filter(kept).ok_or_else(|| {
            let what = match undone.point {
                Some(_) => "is kept no longer",
                None => "was not taken: it took too long",
            };
            Error::invalid(format!("the checkpoint before what came at {} {what}", undone.at))
                .hint("`[swap] rewind` says for how long it is kept; --keep-state puts the code back")
        })?;
        let gone = || Error::unavailable(format!("checkpoint {number} has just gone: try again"));
        let point = journal.manifest(number).await?.ok_or_else(gone)?;
        if let Some(problem) = journal.verify(&point).await.into_iter().next() {
            return Err(problem.context(format!("checkpoint {number}")));
        }
        let job = examined(self.settings()).await?;
        can_go_back(&job)?;
        require_sinks(sinks(&job), job.file.clone(), &journal, &point, newest.number).await?;
        // What the sinks had prepared there they have committed since.
        let mut settled = Manifest { kind: Kind::Stop, ..point.clone() };
        for (name, mark) in &mut settled.steps {
            let plugins = if name == step { &point.plugins } else { &newest.plugins };
            // What the job file names does not run there, and the next start looks at what does.
            if plugins.get(name).map(|plugin| &plugin.sha256) != job.declared.get(name).as_ref() {
                mark.state_version = 0;
            }
        }
        fits(&settled, &job.name, &job.graph)?;
        let came = undone.version.as_ref().map(words::identity).unwrap_or_default();
        let change = format!("step {step}: back to checkpoint {number} of {}, before {came} came", point.at);
        let mut event = Event::new(step, What::Rewound, reason, &change);
        (event.version, event.before, event.point) = (undone.version.clone(), undone.before.clone(), Some(number));
        let (step, declared, history) = (step.to_owned(), job.declared.clone(), self.history.clone());
        let rewind = Rewind { point, step, declared, store, history, event };
        self.leave().await?;
        Ok(HandOver { job, changes: vec![change], rewind: Some(rewind), reply: None })
    }
}

impl Rewind {
    /// Has the next run go on from the checkpoint. The run before has ended.
    pub async fn put_in_force(self) -> Result<()> {
        let Self { mut point, step, declared, store, history, event } = self;
        let journal = Journal::new(store);
        let fence = journal.fence().await?;
        let newest = journal.newest().await?.ok_or_else(|| Error::unavailable("the checkpoints have gone"))?;
        let too_late = || Error::invalid(format!("checkpoint {} is kept no longer", point.number));
        let withdrawn = journal.withdrawn(&point).await?.ok_or_else(too_late)?;
        // The other steps stay with what they run now.
        let now: Vec<_> = newest.plugins.into_iter().filter(|(name, _)| *name != step).collect();
        for (name, mut mark) in now {
            let then = point.plugins.get(&name).map(|then| (&then.sha256, &then.successor));
            if point.steps.get(&name).is_some_and(|state| state.paired) && then != Some((&mark.sha256, &mark.successor))
            {
                // The second halves of its states there are not its successor's.
                mark.successor = None;
            }
            point.plugins.insert(name, mark);
        }
        for (name, mark) in &mut point.plugins {
            pin(mark, declared.get(name));
        }
        journal.go_back(&point, fence, Some(withdrawn)).await?;
        history.add(event).await;
        Ok(())
    }
}

/// Has a component run whatever the job file names.
fn pin(mark: &mut PluginMark, declared: Option<String>) {
    mark.declared = declared.filter(|declared| *declared != mark.sha256);
}

/// Whether all that has been read can be read again, and all that has been written taken back.
fn can_go_back(job: &Job) -> Result<()> {
    for node in &job.graph.nodes {
        let name = &node.name;
        match &node.kind {
            NodeKind::Source { source, .. } if !source.rereads() => {
                return Err(Error::invalid(format!("source {name} cannot be read again: it is a pipe"))
                    .hint("--keep-state puts the code back and goes on where the job is"));
            }
            NodeKind::Sink { sink, .. } if !sink.withdraws() => return Err(cannot_withdraw(name)),
            _ => {}
        }
    }
    match &job.graph.dead_letters {
        Some(letters) if !letters.sink.withdraws() => Err(cannot_withdraw(wasmill_engine::DEAD_LETTERS)),
        _ => Ok(()),
    }
}

fn cannot_withdraw(sink: &str) -> Error {
    Error::invalid(format!("sink {sink} cannot take back what it has written"))
        .hint("--keep-state puts the code back and goes on where the job is")
}

/// The sinks of a job.
fn sinks(job: &Job) -> BTreeSet<String> {
    let sinks = job.graph.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Sink { .. }));
    let dead_letters = job.graph.dead_letters.as_ref().map(|_| wasmill_engine::DEAD_LETTERS.to_owned());
    sinks.map(|node| node.name.clone()).chain(dead_letters).collect()
}

/// Whether all sinks that may have written something since a checkpoint are still there, and write to where they did.
async fn require_sinks(
    sinks: BTreeSet<String>,
    file: JobFile,
    journal: &Journal,
    point: &Manifest,
    until: u64,
) -> Result<()> {
    let since = format!("since checkpoint {}", point.number);
    let mut same = String::new();
    for number in point.number..=until {
        let Some(manifest) = journal.manifest(number).await? else { continue };
        let gone = manifest.sinks.keys().find(|name| !sinks.contains(*name));
        if let Some(sink) = gone.filter(|_| number > point.number) {
            return Err(Error::invalid(format!("sink {sink} has left the job {since}"))
                .hint("put it back into the job file: it has to take back what it has written"));
        }
        if manifest.definition == same {
            continue;
        }
        let differences = diff::diff(&manifest.definition, file.text())?;
        if let Some(difference) = differences.iter().find(|difference| difference.is_of_sink()) {
            return Err(Error::invalid(format!(
                "{difference} {since}: sinks take back only what they wrote as they are now"
            ))
            .hint("--keep-state puts the code back and goes on where the job is"));
        }
        same = manifest.definition;
    }
    Ok(())
}

/// The last event in which a version took over in a step, of those that no rewind has undone.
fn last_arrival<'e>(events: &'e [Event], step: &str) -> Option<&'e Event> {
    let mut of_step = events.iter().rev().filter(|event| event.step == step);
    let mut is_promoted = false;
    while let Some(event) = of_step.next() {
        match event.what {
            // Whatever came since that checkpoint has never been.
            What::Rewound if event.point.is_some() => {
                of_step.find(|undone| undone.point == event.point && undone.what != What::Rewound);
            }
            What::Swapped | What::Canary => return Some(event),
            What::Promoted if event.point.is_some() => return Some(event),
            What::Promoted => is_promoted = true,
            // Seen by nobody until then.
            What::Shadow if is_promoted => return Some(event),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions that came, stayed, went and were undone → the last one that took over and was not undone, with its point or
    /// without.
    #[test]
    fn what_is_undone() {
        use What::*;
        let last = |course: &[(What, Option<u64>)]| {
            let event = |(what, point): &(What, Option<u64>)| Event {
                point: *point,
                ..Event::new("s", *what, Reason::default(), "")
            };
            let mut events: Vec<Event> = course.iter().map(event).collect();
            events.push(Event { point: Some(99), ..Event::new("other", Swapped, Reason::default(), "") });
            last_arrival(&events, "s").map(|event| (event.what, event.point))
        };
        assert_eq!(last(&[(Refused, None), (Shadow, None), (Aborted, None)]), None);
        let good = (Swapped, Some(3));
        assert_eq!(last(&[good, (Promoted, None), (Refused, None)]), Some(good));
        assert_eq!(last(&[good, (Swapped, None), (RolledBack, None)]), Some((Swapped, None)), "the one before stays");
        assert_eq!(last(&[good, (Canary, Some(5)), (Promoted, None)]), Some((Canary, Some(5))));
        assert_eq!(last(&[good, (Shadow, None), (Promoted, Some(6))]), Some((Promoted, Some(6))));
        assert_eq!(last(&[good, (Shadow, None), (Promoted, None)]), Some((Shadow, None)));
        assert_eq!(last(&[good, (Swapped, Some(7)), (Promoted, None), (Rewound, Some(7))]), Some(good));
        assert_eq!(last(&[good, (Swapped, Some(7)), (Rewound, Some(7)), (Rewound, Some(3))]), None);
    }
}
