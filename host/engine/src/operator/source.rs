//! A source on one worker: takes what its splits deliver, stamps it with the open epoch, and announces the watermark of
//! its splits whenever an epoch closes.

use super::Epoch;
use super::exits::{Exits, Pass, Streams};
use super::intake::Intake;
use crate::discards::wall_clock;
use crate::epoch::{EPOCHS_AHEAD, EpochClock};
use crate::graph::Port;
use crate::pauses::Pauses;
use crate::plan::{Plan, PlanKind};
use crate::progress::Announcement;
use crate::verdict::Verdict;
use crate::wake::Bell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe;
use timely::dataflow::{Scope, Stream};
use timely::scheduling::Activator;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use wasmill_stream::source::{Delivery, SplitEvent};
use wasmill_stream::watermark::{Progress, SplitClock, WatermarkSpec};
use wasmill_stream::{Batch, Result, SplitId};

/// How long a source waits before it looks again whether the sinks have caught up.
const RETRY: Duration = Duration::from_millis(1);

/// The process's shared parts that a source operator works with.
#[derive(Clone)]
pub struct Surroundings {
    /// The open epoch.
    pub clock: Arc<EpochClock>,
    /// How far the sinks are, as seen by this worker.
    pub probe: probe::Handle<Epoch>,
    /// How the job ends.
    pub verdict: Arc<Verdict>,
}

/// The splits of one source on one worker.
struct Splits {
    spec: WatermarkSpec,
    /// `None` until the source has said which splits there are.
    clocks: Option<BTreeMap<SplitId, SplitClock>>,
}

impl Splits {
    fn open(&mut self, splits: Vec<SplitId>, now: i64) {
        let clocks = self.clocks.get_or_insert_default();
        clocks.extend(splits.into_iter().map(|split| (split, SplitClock::new(self.spec.clone(), now))));
    }

    fn clock(&mut self, split: &SplitId) -> Option<&mut SplitClock> {
        self.clocks.as_mut().and_then(|clocks| clocks.get_mut(split))
    }

    fn progress(&self, now: i64) -> Progress {
        match &self.clocks {
            None => Progress::UNKNOWN,
            Some(clocks) => clocks.values().fold(Progress::Done, |all, clock| all.meet(clock.progress(now))),
        }
    }
}

/// One source operator.
struct SourceStep {
    index: usize,
    worker: usize,
    workers: usize,
    intake: Intake,
    splits: Splits,
    queue: Receiver<Delivery>,
    around: Surroundings,
    announced: Progress,
    plan: Arc<Plan>,
}

/// What an activation led to.
#[expect(clippy::large_enum_variant, reason = "one lives on the stack for the length of an activation")]
enum Turn {
    /// Rows for the open epoch.
    Rows(Batch),
    /// Something else; look again.
    More,
    /// Nothing has arrived.
    Idle,
    /// The source has ended.
    Ended,
}

impl SourceStep {
    fn turn(&mut self) -> Result<Turn> {
        let now = wall_clock();
        if let Some(split) = self.intake.begun().cloned() {
            let Some(clock) = self.splits.clock(&split) else { return Ok(Turn::More) };
            return Ok(self.intake.go_on(clock, now)?.map_or(Turn::More, Turn::Rows));
        }
        match self.queue.try_recv() {
            Ok(Delivery::Open(splits)) => self.splits.open(splits, now),
            Ok(Delivery::Event(split, event)) => {
                let Some(clock) = self.splits.clock(&split) else { return Ok(Turn::More) };
                match event {
                    SplitEvent::Rows(chunk) => {
                        self.around.clock.count(chunk.values.total_bytes() as u64);
                        if let Some(batch) = self.intake.take(&split, chunk, clock, now)? {
                            return Ok(Turn::Rows(batch));
                        }
                    }
                    SplitEvent::CaughtUp => clock.caught_up(),
                    SplitEvent::Done => clock.finish(),
                }
            }
            Ok(Delivery::Closed) | Err(TryRecvError::Disconnected) => return Ok(Turn::Ended),
            Err(TryRecvError::Empty) => return Ok(Turn::Idle),
        }
        Ok(Turn::More)
    }

    /// What to tell the steps when an epoch closes, if it is news.
    fn announce(&mut self) -> Vec<Announcement> {
        let progress = self.splits.progress(wall_clock());
        if progress == self.announced {
            return Vec::new();
        }
        self.announced = progress;
        if let Progress::At(time) = progress {
            self.plan.nodes[self.index].ledger.advance_watermark(time);
        }
        (0..self.workers).map(|to| Announcement::new(to, self.index, self.worker, progress)).collect()
    }

    /// Whether the epoch after `epoch` may be opened: sources run at most a few epochs ahead of the sinks.
    fn may_close(&self, epoch: Epoch) -> bool {
        (epoch + 1).checked_sub(EPOCHS_AHEAD).is_none_or(|behind| !self.around.probe.less_than(&behind))
    }
}

/// A timer of an operator. Timely keeps every activation that it is asked for, so at most one is asked for at a time.
struct Alarm {
    activator: Activator,
    due: Option<Instant>,
}

impl Alarm {
    fn set(&mut self, delay: Duration) {
        let now = Instant::now();
        let due = now + delay;
        let pending = self.due.is_some_and(|set| set > now && set <= due);
        if !pending {
            self.due = Some(due);
            self.activator.activate_after(delay);
        }
    }
}

/// Builds the operator: its rows, and its announcements.
pub fn build<'s>(
    scope: Scope<'s, Epoch>,
    plan: Arc<Plan>,
    index: usize,
    queue: Receiver<Delivery>,
    bell: &Bell,
    around: Surroundings,
) -> Result<(Streams<'s>, Stream<'s, Epoch, Vec<Announcement>>)> {
    let PlanKind::Source { watermark, .. } = &plan.nodes[index].kind else {
        unreachable!("a source operator belongs to a source");
    };
    let mut step = SourceStep {
        index,
        worker: scope.index(),
        workers: scope.peers(),
        intake: Intake::new(&plan.nodes[index])?,
        splits: Splits { spec: watermark.clone(), clocks: None },
        queue,
        around,
        announced: Progress::UNKNOWN,
        plan: plan.clone(),
    };
    let name = plan.nodes[index].name.clone();
    let mut builder = OperatorBuilder::new(name.to_string(), scope);
    let (mut exits, streams) = Exits::new(&mut builder, index, &plan.nodes[index]);
    let (mut news, news_stream) = builder.new_output::<Vec<Announcement>>();
    let address = builder.operator_info().address;
    bell.tie(scope.worker().sync_activator_for(address.to_vec()));
    let activator = scope.activator_for(address.clone());
    let mut pauses = Pauses::new(scope.activator_for(address.clone()), step.around.verdict.clone(), name.clone());
    let mut alarm = Alarm { activator: scope.activator_for(address), due: None };
    builder.build(move |mut capabilities| {
        // The last output is that of the news.
        let to_news = capabilities.split_off(exits.len()).pop();
        let mut capabilities = to_news.map(|to_news| (Pass::new(capabilities), to_news));
        move |_frontiers| {
            let Some((pass, to_news)) = &mut capabilities else { return };
            let clock = step.around.clock.clone();
            let mut ended = step.around.verdict.is_aborted();
            // A full epoch takes no more rows until the sinks allow the next one.
            let blocked = clock.is_full() && !step.may_close(clock.current());
            if !blocked && !ended && !pauses.under_way() {
                match step.turn() {
                    Ok(Turn::Rows(batch)) => {
                        exits.give(pass, Port::Main, batch);
                        activator.activate();
                    }
                    Ok(Turn::More) => activator.activate(),
                    Ok(Turn::Idle) => alarm.set(clock.remaining()),
                    Ok(Turn::Ended) => ended = true,
                    Err(error) if step.intake.guard().is_some_and(|guard| pauses.begin(guard, &error)) => {}
                    Err(error) => {
                        step.around.verdict.fail(error.context(format!("source {name}")));
                        ended = true;
                    }
                }
                step.intake.take_letters().into_iter().for_each(|letters| exits.give(pass, Port::Dead, letters));
            }
            let epoch = *to_news.time();
            let over = clock.is_full() || clock.remaining().is_zero();
            if over && clock.current() == epoch && step.may_close(epoch) {
                clock.close(epoch);
            } else if blocked || over {
                alarm.set(RETRY);
            }
            if clock.current() > epoch || ended {
                news.activate().give(to_news, &mut step.announce());
                pass.downgrade(clock.current());
                to_news.downgrade(&clock.current());
            }
            if ended {
                step.queue.close();
                capabilities = None;
            }
        }
    });
    Ok((streams, news_stream))
}
