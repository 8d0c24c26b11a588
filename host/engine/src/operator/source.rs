//! A source on one worker: takes what its splits deliver, stamps it with the open epoch, and announces the watermark of
//! its splits whenever an epoch closes.

use super::Epoch;
use super::alarm::Alarm;
use super::at_work::Shift;
use super::exits::{Exits, Pass, Streams};
use super::intake::Intake;
use crate::checkpoint::{Content, FINAL, Origin};
use crate::discards::wall_clock;
use crate::epoch::EPOCHS_AHEAD;
use crate::graph::Port;
use crate::pauses::Pauses;
use crate::plan::PlanKind;
use crate::progress::Announcement;
use crate::swap::Follower;
use crate::wake::Bell;
use crate::worker::Shared;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe;
use timely::dataflow::{Scope, Stream};
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use wasmill_stream::checkpoint::SplitMark;
use wasmill_stream::ledger::{SplitGauge, StepLedger};
use wasmill_stream::source::{Delivery, SplitEvent};
use wasmill_stream::watermark::{Progress, SplitClock, WatermarkSpec};
use wasmill_stream::{Batch, Position, Result, SplitId};

/// How long a source waits before it looks again whether the sinks have caught up: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// The splits of one source on one worker.
struct Splits {
    spec: WatermarkSpec,
    ledger: Arc<StepLedger>,
    /// Where the splits were when the job went on from a checkpoint.
    resumed: BTreeMap<String, SplitMark>,
    /// `None` until the source has said which splits there are.
    open: Option<BTreeMap<SplitId, Split>>,
}

/// One split.
struct Split {
    clock: SplitClock,
    /// The last record that was taken in.
    position: Option<Position>,
    /// For those who look from outside.
    gauge: Arc<SplitGauge>,
}

impl Splits {
    fn open(&mut self, splits: Vec<SplitId>, now: i64) {
        let open = self.open.get_or_insert_default();
        for id in splits {
            let mark = self.resumed.get(id.part()).copied().unwrap_or_default();
            let clock = SplitClock::new(self.spec.clone(), now).resumed(mark.watermark);
            let gauge = self.ledger.splits.open(id.part());
            open.insert(id, Split { clock, position: mark.position, gauge });
        }
    }

    fn get(&mut self, split: &SplitId) -> Option<&mut Split> {
        self.open.as_mut().and_then(|open| open.get_mut(split))
    }

    /// How far all of them are together. Whoever looks at one from outside sees the same.
    fn progress(&self, now: i64) -> Progress {
        let Some(open) = &self.open else { return Progress::UNKNOWN };
        open.values().fold(Progress::Done, |all, split| {
            let progress = split.clock.progress(now);
            split.gauge.follow(progress);
            all.meet(progress)
        })
    }

    /// What a checkpoint has to know.
    fn marks(&self) -> BTreeMap<String, SplitMark> {
        let mark = |(id, split): (&SplitId, &Split)| {
            let (watermark, done) = (split.clock.watermark(), split.clock.is_done());
            (id.part().to_owned(), SplitMark { position: split.position, watermark, done })
        };
        self.open.iter().flatten().map(mark).collect()
    }

    fn are_done(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.values().all(|split| split.clock.is_done()))
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
    shared: Shared,
    /// How far the sinks are that its rows go to, as seen by this worker.
    probe: probe::Handle<Epoch>,
    announced: Progress,
    /// The last barrier that was passed.
    passed: Option<u64>,
    /// A message that was taken after its epoch had closed.
    taken: Option<Delivery>,
    /// Ends of splits that sinks have not come to, each with its epoch, in a job without checkpoints.
    unsettled: VecDeque<(Epoch, SplitId)>,
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
    /// Takes a message in the open epoch `epoch`.
    fn turn(&mut self, epoch: Epoch) -> Result<Turn> {
        let now = wall_clock();
        if let Some(split) = self.intake.begun().cloned() {
            let Some(split) = self.splits.get(&split) else { return Ok(Turn::More) };
            return Ok(self.intake.go_on(&mut split.clock, now)?.map_or(Turn::More, Turn::Rows));
        }
        let message = match self.taken.take() {
            Some(message) => Ok(message),
            None => self.queue.try_recv(),
        };
        // Workers learn of a closed epoch one after the other. What arrived later must not be counted to it: a child of a
        // shard follows its parent's end, and must not be in a checkpoint that does not hold that. Only the first message,
        // which says what there is, may be late: a barrier waits for it.
        if self.shared.clock.current() > epoch
            && self.splits.open.is_some()
            && let Ok(message) = message
        {
            self.taken = Some(message);
            return Ok(Turn::More);
        }
        // Who looks and finds nothing brings nothing.
        if !matches!(message, Err(_) | Ok(Delivery::Event(_, SplitEvent::CaughtUp(_)))) {
            self.shared.clock.begin();
        }
        match message {
            Ok(Delivery::Open(splits)) => self.splits.open(splits, now),
            Ok(Delivery::Event(id, event)) => {
                let Some(split) = self.splits.get(&id) else { return Ok(Turn::More) };
                match event {
                    SplitEvent::Rows(chunk) => {
                        self.shared.clock.count(chunk.values.total_bytes() as u64);
                        // Barriers wait until the intake has let go of all rows of the chunk.
                        split.position = chunk.positions.get(chunk.values.len().saturating_sub(1)).or(split.position);
                        if let Some(batch) = self.intake.take(&id, chunk, &mut split.clock, now)? {
                            return Ok(Turn::Rows(batch));
                        }
                    }
                    SplitEvent::Inherits(watermark) => split.clock.inherit(watermark),
                    SplitEvent::CaughtUp(caught_up) => split.clock.caught_up(caught_up, now),
                    SplitEvent::Done => {
                        split.clock.finish();
                        self.splits.ledger.splits.close(id.part());
                        if self.shared.reporter.is_none() {
                            self.unsettled.push_back((epoch, id));
                        }
                    }
                }
            }
            Ok(Delivery::Closed) | Err(TryRecvError::Disconnected) => return Ok(Turn::Ended),
            Err(TryRecvError::Empty) => return Ok(Turn::Idle),
        }
        Ok(Turn::More)
    }

    /// Settles the ends of splits that all sinks have come to.
    fn settle(&mut self) {
        while let Some((_, split)) = self.unsettled.pop_front_if(|(epoch, _)| !self.probe.less_than(&(*epoch + 1))) {
            let watermark = self.splits.get(&split).and_then(|split| split.clock.watermark());
            self.shared.ends.settle([(split, watermark)]);
        }
    }

    /// Sees to it that the epoch closes in time if there is news for the steps, although nothing has come to it. Returns when to
    /// look again.
    fn rest(&self) -> Duration {
        let clock = &self.shared.clock;
        if clock.is_at_rest() && self.splits.progress(wall_clock()) != self.announced {
            clock.begin();
        }
        match self.unsettled.is_empty() {
            true => clock.remaining(),
            false => clock.remaining().min(clock.length()),
        }
    }

    /// What to tell the steps when an epoch closes, if it is news.
    fn announce(&mut self) -> Vec<Announcement> {
        let progress = self.splits.progress(wall_clock());
        if progress == self.announced {
            return Vec::new();
        }
        self.announced = progress;
        if let Progress::At(time) = progress {
            self.shared.plan.nodes[self.index].ledger.advance_watermark(time);
        }
        (0..self.workers).map(|to| Announcement::new(to, self.index, self.worker, progress)).collect()
    }

    /// Whether the epoch after `epoch` may be opened: sources run at most a few epochs ahead of their sinks.
    fn may_close(&self, epoch: Epoch) -> bool {
        (epoch + 1).checked_sub(EPOCHS_AHEAD).is_none_or(|behind| !self.probe.less_than(&behind))
    }

    /// Whether rows may go into `epoch`. Another source, whose sinks keep up, may have opened it.
    fn may_fill(&self, epoch: Epoch) -> bool {
        epoch.checked_sub(1).is_none_or(|before| self.may_close(before))
    }

    /// The barrier that stands between the operator and `next`, if it has not passed it yet.
    fn barrier_before(&self, next: Epoch) -> Option<u64> {
        self.shared.reporter.as_ref()?.barrier(self.passed).filter(|barrier| *barrier < next)
    }

    /// Hands over where the splits are, at the barriers before `next`; `None`: the source has ended.
    fn pass(&mut self, next: Option<Epoch>) {
        let Some(reporter) = &self.shared.reporter else { return };
        let barrier = self.barrier_before(next.unwrap_or(FINAL));
        for barrier in barrier.into_iter().chain(next.is_none().then_some(FINAL)) {
            if barrier == FINAL && !self.splits.are_done() {
                reporter.leave_unfinished();
            }
            let origin = Origin { node: self.index, worker: self.worker };
            reporter.report(origin, barrier, Content::Splits(self.splits.marks()));
            self.passed = Some(barrier);
        }
    }
}

/// Builds the operator: its rows, and its announcements.
pub fn build<'s>(
    scope: Scope<'s, Epoch>,
    shared: &Shared,
    index: usize,
    (queue, bell): (Receiver<Delivery>, &Bell),
    probe: probe::Handle<Epoch>,
) -> Result<(Streams<'s>, Stream<'s, Epoch, Vec<Announcement>>)> {
    let plan = shared.plan.clone();
    let mut follower = Follower::new(&shared.revisions, index);
    let PlanKind::Source { watermark, .. } = &plan.nodes[index].kind else {
        unreachable!("a source operator belongs to a source");
    };
    let resumed = shared.resumed.splits(index);
    let mut step = SourceStep {
        index,
        worker: scope.index(),
        workers: scope.peers(),
        intake: Intake::new(index, &follower.plan().nodes[index])?,
        splits: Splits { spec: watermark.clone(), ledger: plan.nodes[index].ledger.clone(), resumed, open: None },
        queue,
        shared: shared.clone(),
        probe,
        announced: Progress::UNKNOWN,
        passed: None,
        taken: None,
        unsettled: VecDeque::new(),
    };
    let name = plan.nodes[index].name.clone();
    let mut builder = OperatorBuilder::new(name.to_string(), scope);
    let (mut exits, streams) = Exits::new(&mut builder, index, &plan.nodes[index]);
    let (mut news, news_stream) = builder.new_output::<Vec<Announcement>>();
    let address = builder.operator_info().address;
    bell.tie(scope.worker().sync_activator_for(address.to_vec()));
    let activator = scope.activator_for(address.clone());
    let mut pauses = Pauses::new(scope.activator_for(address.clone()), step.shared.verdict.clone(), name.clone());
    let (shift, ledger) = (Shift::new(&plan.nodes[index].ledger), plan.nodes[index].ledger.clone());
    let mut alarm = Alarm::new(scope.activator_for(address));
    let mut retry = RETRY.0;
    builder.build(move |mut capabilities| {
        // The last output is that of the news.
        let to_news = capabilities.split_off(exits.len()).pop();
        let mut capabilities = to_news.map(|to_news| (Pass::new(capabilities), to_news));
        move |_frontiers| {
            let Some((pass, to_news)) = &mut capabilities else { return };
            let work = shift.begin();
            step.settle();
            let clock = step.shared.clock.clone();
            let mut ended = step.shared.verdict.is_aborted();
            // A full epoch takes no more rows until the sinks allow the next one. Sinks to which nothing of this source goes
            // hold it no more than it holds their sources.
            let is_full = clock.is_full() && !step.may_close(clock.current());
            let blocked = is_full || !step.may_fill(*to_news.time());
            if blocked || ledger.held_back.load(Relaxed) > 0 {
                work.is_held_back();
            }
            if pauses.under_way() && !ended {
                match follower.hurry(&mut step.intake) {
                    Ok(true) => pauses.end(),
                    Ok(false) => {}
                    Err(error) => {
                        step.shared.verdict.fail(error.context(format!("source {name}")));
                        ended = true;
                    }
                }
            }
            if !blocked && !ended && !pauses.under_way() {
                let turn = step.turn(*to_news.time());
                // Whatever becomes of them.
                step.intake.take_raw().into_iter().for_each(|records| exits.give(pass, Port::Raw, records));
                match turn {
                    Ok(Turn::Rows(batch)) => {
                        exits.give(pass, Port::Main, batch);
                        activator.activate();
                    }
                    Ok(Turn::More) => activator.activate(),
                    // An epoch that is over and may not be closed yet is looked at again below, and not at once.
                    Ok(Turn::Idle) if clock.is_over() => {}
                    Ok(Turn::Idle) => alarm.set(step.rest()),
                    Ok(Turn::Ended) => ended = true,
                    Err(error) if step.intake.guard().is_some_and(|guard| pauses.begin(guard, &error)) => {}
                    Err(error) => {
                        step.shared.verdict.fail(error.context(format!("source {name}")));
                        ended = true;
                    }
                }
                step.intake.take_letters().into_iter().for_each(|letters| exits.give(pass, Port::Dead, letters));
            }
            let epoch = *to_news.time();
            let is_over = clock.is_over();
            if is_over && clock.current() == epoch && step.may_close(epoch) {
                clock.close(epoch);
                retry = RETRY.0;
            } else if blocked || is_over {
                alarm.set(retry);
                retry = (retry * 2).min(RETRY.1);
            }
            // Before a barrier is passed, the source has said what there is to go on from, and rows that the plugin has
            // failed on and will see again have gone out.
            let next = clock.current();
            let unready = step.intake.begun().is_some() || step.splits.open.is_none();
            let held = unready && step.barrier_before(next).is_some();
            if (next > epoch && !held) || ended {
                news.activate().give(to_news, &mut step.announce());
                step.pass(Some(next).filter(|_| !ended));
                while follower.bars(next) {
                    // Nobody votes on decoders.
                    if let Err(error) = follower.advance(&mut step.intake, ended) {
                        step.shared.verdict.fail(error.context(format!("source {name}")));
                        break;
                    }
                }
                pass.downgrade(next);
                to_news.downgrade(&next);
            }
            if ended {
                step.queue.close();
                capabilities = None;
            }
        }
    });
    Ok((streams, news_stream))
}
