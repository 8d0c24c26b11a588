use super::*;
use crate::graph::Tolerance;
use crate::verdict::Verdict;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::*;
use wasmill_stream::quota::Quota;
use wasmill_stream::{Firing, GuestFault, Pane};

fn guard(isolates: bool) -> Guard {
    Guard::new(Arc::new(StepLedger::new("step")), Tolerance { share: 0.05, ..Tolerance::default() }, isolates)
}

/// Doubles every row whose time is even, drops the others, refuses those that 5 divides, and fails on those that 33 divides.
/// It also fails when it was told to, so many times.
struct Picky {
    fails: usize,
    fault: GuestFault,
    /// Fails as long as this is set.
    sick: Arc<AtomicBool>,
}

impl Picky {
    fn boxed(fails: usize) -> Box<Self> {
        Box::new(Self { fails, fault: GuestFault::Trap, sick: Arc::default() })
    }

    fn check(&mut self, times: impl IntoIterator<Item = i64>) -> Result<()> {
        if self.fails > 0 || self.sick.load(Relaxed) {
            self.fails = self.fails.saturating_sub(1);
            return Err(Error::guest(self.fault, "told to"));
        }
        match times.into_iter().find(|time| time % 33 == 0) {
            Some(time) => Err(Error::guest(self.fault, format!("cannot bear {time}"))),
            None => Ok(()),
        }
    }
}

impl Transform for Picky {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        self.check(batch.times.iter().copied())?;
        let (mut origins, mut rejects) = (Vec::new(), Vec::new());
        for (row, time) in (0..).zip(batch.times) {
            match time {
                time if time % 5 == 0 => rejects.push(Reject::new(row, "five")),
                time if time % 2 == 0 => origins.extend([row, row]),
                _ => {}
            }
        }
        // Times only now and then: the rest is filled in.
        let times =
            (batch.times.len() % 2 == 1).then(|| origins.iter().map(|&row| batch.times[row as usize]).collect());
        let values = origins.iter().map(|&row| batch.times[row as usize].to_string()).collect();
        let side = Rows { origins: Some(origins.iter().copied().step_by(2).collect()), ..Rows::default() };
        let main = Rows { origins: Some(origins), times, keys: None, values: Some(values) };
        Ok(Transformed { main, sides: vec![(1, side)], rejects })
    }
}

fn view(times: &[i64]) -> View<'_> {
    View { times, keys: None, values: None, fields: Vec::new() }
}

/// A thousand rows, of which a few make the plugin fail → exactly these come back with their fault, and all others as if
/// they had been alone.
#[test]
fn poison_is_found() {
    let times: Vec<i64> = (1..=1_000).collect();
    let mut logic = IsolatedTransform::new(Picky::boxed(0), guard(true));
    let answer = logic.transform(&view(&times)).expect("it goes on");

    let poison: Vec<_> =
        answer.rejects.iter().filter(|reject| reject.cause == Cause::Guest(GuestFault::Trap)).collect();
    assert_eq!(
        poison.iter().map(|reject| times[reject.row as usize]).collect::<Vec<_>>(),
        (33..=990).step_by(33).collect::<Vec<_>>()
    );
    assert_eq!(poison[0].reason, "cannot bear 33");
    assert!(answer.rejects.is_sorted_by_key(|reject| reject.row));

    let good: Vec<i64> = times.iter().copied().filter(|time| time % 33 != 0).collect();
    let refused = good.iter().filter(|time| **time % 5 == 0).count();
    assert_eq!(answer.rejects.len(), refused + poison.len());
    let even: Vec<i64> = good.iter().copied().filter(|time| time % 5 != 0 && time % 2 == 0).collect();
    let doubled: Vec<i64> = even.iter().flat_map(|&time| [time, time]).collect();
    let rows = |rows: &Rows| -> Vec<i64> { rows.origins.iter().flatten().map(|&row| times[row as usize]).collect() };
    assert_eq!(rows(&answer.main), doubled);
    assert_eq!(answer.main.times.as_deref(), Some(doubled.as_slice()));
    assert_eq!(answer.main.values, Some(doubled.iter().map(i64::to_string).collect()));
    assert_eq!((answer.sides[0].0, rows(&answer.sides[0].1)), (1, even));
}

/// A plugin that fails once → the call is made again, and nobody notices. Without dead letters a second failure is the job's
/// error, which says what would help.
#[test]
fn one_failure_is_none() {
    let mut logic = IsolatedTransform::new(Picky::boxed(1), guard(false));
    assert_eq!(logic.transform(&view(&[2])).expect("the second call succeeds").main.origins, Some(vec![0, 0]));
    let mut logic = IsolatedTransform::new(Picky::boxed(2), guard(false));
    let error = logic.transform(&view(&[2])).expect_err("twice");
    assert!(error.to_string().contains("[dead_letter]"), "{error}");
    assert_eq!(logic.guard().take_pause(), None);
}

/// More failures than tolerated → the step pauses, longer each time, with the reason in its ledger; nothing is reported, and
/// when the plugin is well again the same rows go through.
#[test]
fn too_much_poison_pauses() {
    let ledger = Arc::new(StepLedger::new("step"));
    let guard = Guard::new(ledger.clone(), Tolerance::default(), true);
    let times: Vec<i64> = (1..=200).collect();
    let picky = Picky::boxed(0);
    let sick = picky.sick.clone();
    sick.store(true, Relaxed);
    let mut logic = IsolatedTransform::new(picky, guard);
    for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
        logic.transform(&view(&times)).expect_err("it is sick");
        assert_eq!(logic.guard().take_pause(), Some(Duration::from_secs(expected)));
        assert!(ledger.paused().expect("paused").contains("told to"));
    }
    sick.store(false, Relaxed);
    let answer = logic.transform(&view(&times)).expect("it is well");
    assert_eq!(answer.rejects.iter().filter(|reject| reject.cause != Cause::Rejected).count(), 6);
    assert_eq!(ledger.paused(), None);
}

/// A step that does not get better → after the time that it may be paused its error is the job's.
#[test]
fn patience_ends() {
    let tolerance = Tolerance { give_up: Duration::ZERO, ..Tolerance::default() };
    let guard = Guard::new(Arc::new(StepLedger::new("step")), tolerance, true);
    let times: Vec<i64> = (1..=200).collect();
    let mut logic = IsolatedTransform::new(Picky::boxed(usize::MAX), guard);
    let error = logic.transform(&view(&times)).expect_err("it fails for good");
    assert!(error.to_string().starts_with("paused for"), "{error}");
    assert_eq!(logic.guard().take_pause(), None);
}

/// A plugin that asks for patience → short pauses, a few times; then the rows are judged. A fatal failure is never retried.
#[test]
fn retry_and_fatal() {
    let mut picky = Picky::boxed(usize::MAX);
    picky.fault = GuestFault::Retry;
    let mut logic = IsolatedTransform::new(picky, guard(true));
    let mut pauses = Vec::new();
    let answer = loop {
        match logic.transform(&view(&[1, 2])) {
            Ok(answer) => break answer,
            Err(_) => pauses.push(logic.guard().take_pause().expect("it pauses").as_millis()),
        }
    };
    assert_eq!(pauses, [100, 200, 400, 800, 1_600]);
    assert_eq!(answer.rejects.len(), 2);

    let mut picky = Picky::boxed(usize::MAX);
    picky.fault = GuestFault::Fatal;
    let mut logic = IsolatedTransform::new(picky, guard(true));
    logic.transform(&view(&[1])).expect_err("fatal");
    assert_eq!(logic.guard().take_pause(), None);
}

impl Aggregate for Picky {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        self.check(batch.times.iter().copied())?;
        let mut texts: Vec<String> =
            accumulators.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        let mut rejects = Vec::new();
        for (row, (time, &group)) in (0..).zip(batch.times.iter().zip(groups)) {
            if time % 5 == 0 {
                rejects.push(Reject::new(row, "five"));
            } else {
                texts[group as usize].push_str(&format!("{time} "));
            }
        }
        Ok(Accumulated { accumulators: texts.iter().collect(), rejects })
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        let texts: Vec<_> = accumulators.iter().map(String::from_utf8_lossy).collect();
        self.check(texts.iter().map(|text| text.parse().expect("a number")))?;
        let mut merged = vec![String::new(); count as usize];
        texts.iter().zip(groups).for_each(|(text, &group)| merged[group as usize].push_str(&format!("{text} ")));
        Ok(merged.iter().collect::<Binary>().into())
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        self.check(fired.windows.iter().map(|window| window.start))?;
        let origins = (0..fired.windows.len() as u32).flat_map(|at| [at, at]).collect::<Vec<_>>();
        let values = origins.iter().map(|&at| fired.windows[at as usize].start.to_string()).collect();
        Ok(Finished { origins: Some(origins), values, rejects: Vec::new() })
    }
}

/// Rows of two groups, some of which make the plugin fail → the accumulators hold all others in order; the same for windows
/// that cannot be finished, and for accumulators that cannot be merged.
#[test]
fn aggregators() {
    let times: Vec<i64> = (1..=100).collect();
    let groups: Vec<u32> = times.iter().map(|time| (time % 2) as u32).collect();
    let mut logic = IsolatedAggregate::new(Picky::boxed(0), guard(true));
    let answer = logic.accumulate(&["", ""].into_iter().collect(), &groups, &view(&times)).expect("it goes on");
    let expected = |odd: i64| -> String {
        times
            .iter()
            .filter(|time| **time % 2 == odd && **time % 33 != 0 && **time % 5 != 0)
            .map(|time| format!("{time} "))
            .collect()
    };
    assert_eq!(answer.accumulators, [expected(0), expected(1)].iter().collect());
    assert_eq!(answer.rejects.len(), 20 + 3);

    let windows: Vec<Firing> =
        times.iter().map(|&start| Firing { start, end: start + 1, pane: Pane::OnTime }).collect();
    let names: Binary = times.iter().map(i64::to_string).collect();
    let fired = Fired { windows: &windows, keys: &names, accumulators: &names };
    let answer = logic.finish(&fired).expect("it goes on");
    assert_eq!(answer.rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(), [32, 65, 98]);
    assert_eq!(answer.values.len(), 2 * 97);
    let starts = answer.origins.expect("given").into_iter().map(|at| windows[at as usize].start.to_string());
    assert_eq!(answer.values, starts.collect::<Vec<_>>().iter().collect());

    // Two accumulators for each result but for the last two, which have one: these are not touched.
    let groups: Vec<u32> = (0..98).map(|at| at / 2).chain([49, 50]).collect();
    let merged = logic.merge(&names, &groups, 51).expect("it goes on");
    let rejects: Vec<_> = merged.rejects.iter().map(|reject| (reject.row, reject.cause)).collect();
    assert_eq!(rejects, [16, 32].map(|result| (result, Cause::Guest(GuestFault::Trap))));
    let result = |at: u32| match at {
        16 | 32 => String::new(),
        49 | 50 => (at + 50).to_string(),
        _ => format!("{} {} ", 2 * at + 1, 2 * at + 2),
    };
    assert_eq!(merged.accumulators, (0..51).map(result).collect::<Vec<_>>().iter().collect());
}

/// Counts the rows of a key and emits the count with every row; a timer one behind each row emits `timer`. Fails on rows at
/// times that 33 divides and on timers that fire at times that 50 divides.
struct Counting;

impl Process for Counting {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let rows = turn.groups.len() as u32;
        let mut counts: Vec<u64> =
            turn.states.iter().map(|state| String::from_utf8_lossy(state).parse().unwrap_or(0)).collect();
        let mut pending: Vec<Vec<i64>> = vec![Vec::new(); turn.keys.len()];
        turn.timers.iter().for_each(|(key, time)| pending[key as usize].push(time));
        let (mut origins, mut times, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let fire = |key: usize,
                    until: i64,
                    pending: &mut Vec<Vec<i64>>,
                    origins: &mut Vec<u32>,
                    times: &mut Vec<i64>,
                    values: &mut Vec<String>| {
            while let Some(&first) = pending[key].first().filter(|first| **first <= until) {
                if first % 50 == 0 {
                    return Err(Error::guest(GuestFault::Trap, format!("timer {first}")));
                }
                pending[key].remove(0);
                origins.push(rows + key as u32);
                times.push(first);
                values.push("timer".to_owned());
            }
            Ok(())
        };
        for (row, (&key, &time)) in (0..).zip(turn.groups.iter().zip(turn.batch.times)) {
            let key = key as usize;
            if turn.ordered {
                fire(key, time, &mut pending, &mut origins, &mut times, &mut values)?;
            }
            if time % 33 == 0 {
                return Err(Error::guest(GuestFault::Trap, format!("row {time}")));
            }
            counts[key] += 1;
            pending[key].push(time + 1);
            origins.push(row);
            times.push(time);
            values.push(counts[key].to_string());
        }
        for key in 0..turn.keys.len() {
            fire(key, turn.watermark, &mut pending, &mut origins, &mut times, &mut values)?;
        }
        let mut timers = Timers::default();
        (0..).zip(&pending).for_each(|(key, pending)| pending.iter().for_each(|&time| timers.push(key, time)));
        let main =
            Rows { origins: Some(origins), times: Some(times), keys: None, values: Some(values.iter().collect()) };
        let states = counts.iter().map(u64::to_string).collect::<Vec<_>>().iter().collect();
        Ok(Processed { states, timers, main, ..Processed::default() })
    }
}

/// Rows of three keys, some rows and some timers of which make the plugin fail → the counts of each key go on without them,
/// every other timer fires, and what failed is named.
#[test]
fn processes() {
    for ordered in [true, false] {
        let times: Vec<i64> = (1..=300).collect();
        let groups: Vec<u32> = times.iter().map(|time| (time % 3) as u32).collect();
        let keys: Binary = ["a", "b", "c"].into_iter().collect();
        let states: Binary = ["", "", ""].into_iter().collect();
        let turn = Turn {
            keys: &keys,
            states: &states,
            groups: &groups,
            batch: view(&times),
            timers: &Timers::default(),
            watermark: 200,
            ordered,
        };
        let mut logic = IsolatedProcess::new(Box::new(Counting), guard(true));
        let answer = logic.process(&turn).expect("it goes on");

        let poison: Vec<i64> = answer.rejects.iter().map(|reject| times[reject.row as usize]).collect();
        assert_eq!(poison, (33..=297).step_by(33).collect::<Vec<_>>());
        // Timers stand one behind the rows of times 49, 99, 149 …
        let mut dropped: Vec<i64> = logic.take_dropped().iter().map(|timer| timer.time).collect();
        dropped.sort_unstable();
        // Row 99 is poison itself. In order, timers fire before the next row of their key, also behind the watermark.
        let expected: &[i64] = if ordered { &[50, 150, 200, 250] } else { &[50, 150, 200] };
        assert_eq!(dropped, expected);
        assert!(logic.take_dropped().is_empty());

        let alive = |key: i64| times.iter().filter(|time| **time % 3 == key && **time % 33 != 0).count();
        let counts: Vec<String> = [0, 1, 2].map(|key| alive(key).to_string()).into();
        assert_eq!(answer.states, counts.iter().collect());
        let origins = answer.main.origins.expect("given");
        assert_eq!(origins.iter().filter(|origin| (**origin as usize) < times.len()).count(), 300 - 9);
        for (at, &origin) in origins.iter().enumerate().filter(|(_, origin)| **origin as usize >= times.len()) {
            let time = answer.main.times.as_ref().expect("given")[at];
            assert_eq!((time - 1) % 3, i64::from(origin) - 300, "a timer of that key");
        }
        assert!(answer.timers.times.iter().all(|time| *time > 200));
    }
}

/// A plugin that fails on every row; it says when it has been called so often.
struct Hopeless {
    calls: usize,
    told: Arc<dyn Fn(usize) + Send + Sync>,
}

impl Transform for Hopeless {
    fn transform(&mut self, _batch: &View<'_>) -> Result<Transformed> {
        self.calls += 1;
        (self.told)(self.calls);
        Err(Error::guest(GuestFault::Trap, "hopeless"))
    }
}

/// Runs it on a worker's thread, and returns how often it was called.
fn calls_of_hopeless(
    quota: Option<Arc<Quota>>,
    verdict: Arc<Verdict>,
    told: Arc<dyn Fn(usize) + Send + Sync>,
) -> usize {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let run = move || {
        throttle::begin(quota, verdict);
        let told = Arc::new(move |calls| {
            counted.store(calls, Relaxed);
            told(calls);
        });
        let tolerance = Tolerance { share: 1.0, ..Tolerance::default() };
        let guard = Guard::new(Arc::new(StepLedger::new("step")), tolerance, true);
        let mut logic = IsolatedTransform::new(Box::new(Hopeless { calls: 0, told }), guard);
        let _ = logic.transform(&view(&(1..=32).collect::<Vec<_>>()));
    };
    std::thread::spawn(run).join().expect("it does not panic");
    calls.load(Relaxed)
}

/// The job ends while rows at fault are looked for → no call is made after the one that is under way.
#[test]
fn nobody_looks_for_rows_of_a_job_that_has_ended() {
    let verdict = Arc::new(Verdict::new());
    let ended = verdict.clone();
    let told = Arc::new(move |calls| {
        if calls == 7 {
            ended.fail(Error::unavailable("told to"));
        }
    });
    assert_eq!(calls_of_hopeless(None, verdict, told), 7);
}

/// A quota of CPU time → whoever looks for rows at fault pays for it between the calls, and finds them all.
#[test]
fn looking_for_rows_is_paid_for() {
    let quota = Arc::new(Quota::unlimited("tenant a"));
    // Half a core, of which each call spends 4 ms: more than is there for all of them.
    quota.cpu.set_limit(Some(500_000_000));
    let spender = quota.clone();
    let told = Arc::new(move |_| {
        spender.cpu.spend(4_000_000, Instant::now());
    });
    let calls = calls_of_hopeless(Some(quota.clone()), Arc::new(Verdict::new()), told);
    // Two of all rows; of the 62 ranges below them one each.
    assert_eq!(calls, 64);
    assert!(quota.cpu.waited() > Duration::ZERO, "{:?}", quota.cpu.waited());
}
