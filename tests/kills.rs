//! `kill -9` at random moments, again and again, of the real program: with everything that is outside of it going on.

use crate::harness::bucket::Bucket;
use crate::harness::chance::{Chance, count};
use crate::harness::manifests::progress;
use crate::harness::patience::{for_a_while, until};
use crate::harness::report;
use crate::harness::search::Search;
use crate::harness::server::MOTO;
use crate::pipeline::{self, Input, Pipeline, Turn};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmill_stream::checkpoint::Kind;

/// How long a run lives after its first new checkpoint, at most.
const LIFE: Duration = Duration::from_secs(2);
/// Around how long it takes to start and recover.
const RECOVERY: Duration = Duration::from_millis(800);
/// Records for each round.
pub const RECORDS: usize = 4_000;
/// Workers of one round after the other.
const WORKERS: [usize; 4] = [1, 4, 2, 3];

/// What happened.
#[derive(Default)]
pub struct Tally {
    kills: usize,
    /// Kills of runs that were recovering from a kill.
    early: usize,
    /// Of each run that got that far: how long from its start to its first new checkpoint.
    recoveries: Vec<Duration>,
    /// What it took to look at the sinks after each kill.
    looks: Duration,
}

impl Tally {
    fn report(&mut self, pipeline: &Pipeline, (rows, pieces): (usize, usize)) {
        self.recoveries.sort_unstable();
        let median = self.recoveries.get(self.recoveries.len() / 2).copied().unwrap_or_default();
        let longest = self.recoveries.last().copied().unwrap_or_default();
        report(&format!(
            "{} kills, {} more during recovery, {} records, {rows} rows in {pieces} files, objects and documents; \
             {} recoveries, from start to new checkpoint {} ms (median), {} ms (longest); looking at the sinks after a \
             kill took {} ms on average",
            self.kills,
            self.early,
            pipeline.input().len(),
            self.recoveries.len(),
            median.as_millis(),
            longest.as_millis(),
            self.looks.as_millis() / self.kills.max(1) as u128
        ));
    }
}

/// Kills run after run. Every run that is given the time gets further than the one before.
pub fn kill_again_and_again(pipeline: &Pipeline, rounds: usize, chance: &mut Chance) -> Tally {
    let mut tally = Tally::default();
    for round in 0..rounds {
        let workers = WORKERS[round % WORKERS.len()];
        let before = pipeline.progress();
        // What is left has to last for all rounds.
        let left = pipeline.input().len().saturating_sub(before as usize);
        let turn = Turn { workers, rate: Some(left / (rounds - round + 1) / 12 + 1) };
        if round % 2 == 1 {
            let mut host = pipeline.start(turn);
            for_a_while(chance.shorter(RECOVERY), || host.status());
            host.kill();
            tally.early += 1;
        }
        let (since, known) = (Instant::now(), pipeline.manifests().newest());
        let (run, before) = known.map_or((0, 0), |manifest| (manifest.run, progress(&manifest)));
        let mut host = pipeline.start(turn);
        until("a new checkpoint", || {
            let status = host.status();
            assert!(status.is_none(), "round {round} ended ({status:?}) by itself: {}", host.text());
            let newest = pipeline.manifests().newest()?;
            (newest.run > run && newest.kind == Kind::Periodic && progress(&newest) > before).then_some(())
        });
        tally.recoveries.push(since.elapsed());
        let ended = for_a_while(chance.shorter(LIFE), || host.status());
        assert!(ended.is_none(), "round {round} ended ({ended:?}) before it was killed: {}", host.text());
        host.kill();
        tally.kills += 1;
        let looking = Instant::now();
        pipeline.check_so_far();
        tally.looks += looking.elapsed();
    }
    tally
}

/// Ends the job and looks at everything that it has left.
pub fn finish(pipeline: &Pipeline, mut tally: Tally) {
    pipeline.finish().well();
    tally.report(pipeline, pipeline.check());
    assert_eq!(pipeline.manifests().newest().map(|manifest| manifest.kind), Some(Kind::End));
    assert_eq!(pipeline.leftovers(), Vec::<String>::new(), "nothing is left that was not committed");
}

/// SIGKILL at random moments, with other numbers of workers each time, and every other round also while the job recovers →
/// every file, object and document is there exactly once, every dead letter too, and each round got further.
#[test]
fn at_random_moments() {
    let (rounds, mut chance) = (count("WASMILL_KILLS", 20), Chance::announced());
    let search = Arc::new(Search::start());
    let bucket = MOTO.url().map(|url| Bucket::create(url, "kills"));
    let pipeline = Pipeline::new(Input::new((rounds + 2) * RECORDS), pipeline::all(&search, bucket));
    let tally = kill_again_and_again(&pipeline, rounds, &mut chance);
    finish(&pipeline, tally);
}
