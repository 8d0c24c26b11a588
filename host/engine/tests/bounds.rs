//! What is measured of versions that have to prove themselves, and who is named for what they refuse.

use crate::candidates::{settle, try_out, until};
use crate::editions::*;
use crate::parts::*;
use std::sync::Arc;
use std::time::Duration;
use wasmill_engine::{Bounds, DeadLetters, Mode, NodeKind, Port, SinkTerms};
use wasmill_stream::Result;
use wasmill_stream::dead_letter::DeadLetter;
use wasmill_stream::guest_ledger::Took;
use wasmill_stream::plugin::*;
use wasmill_stream::process::Order;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;
use wasmill_stream::{Binary, key};

/// Bounds that a candidate breaks → it has failed, with the bound and the figures; one that keeps to all of them has not.
#[tokio::test(flavor = "multi_thread")]
async fn bounds() {
    let lists = lists(4_000);
    let mut job = Job::default();
    let (played, done) = slowly(lists);
    let source = job.source(played, 300, Mood::Well);
    let step = job.node("tag", &[(source, Port::Main)], NodeKind::Transform { plugin: Arc::new(tag(1)) });
    job.keep("out", &[(step, Port::Main)]);
    let running = wasmill_engine::start(job.graph(), options(1)).await.expect("it starts");
    let ledger = running.ledger().step("tag").expect("a step").clone();
    until(|| ledger.counts().read > 1_500).await;
    let bounds = Bounds { rejects: Some(0.1), cpu: Some(5.0), latency: Some(5.0), output: Some((0.9, 1.1)) };
    let nanos = Duration::from_nanos;
    let slow = |cpu, wall| Took { cpu: nanos(cpu), wall: nanos(wall) };
    let candidates: [(_, _, Option<&str>); 5] = [
        (dropping(2, false), slow(10, 10), None),
        (dropping(3, true), slow(10, 10), Some("it gives 0.5")),
        (dropping(4, false), slow(10, 90), Some("it takes 90 ns by the clock a row, and 5 times the 10 ns")),
        (dropping(5, false), slow(90, 10), Some("it takes 90 ns of CPU time a row, and 5 times the 10 ns")),
        (refusing(6), slow(10, 10), Some(" rows, and 0.1 of all is the bound")),
    ];
    for (mut version, per_row, breaks) in candidates {
        version.per_row = per_row;
        let version = Version::Transform(Arc::new(version));
        let (candidacy, _) = running.swapper().try_out("tag", version, Mode::Probation, bounds).await.expect("it fits");
        until(|| candidacy.report().rows > 1_200).await;
        candidacy.judge();
        let reason = candidacy.failure();
        assert_eq!(reason.is_some(), breaks.is_some(), "{reason:?}");
        assert!(reason.iter().all(|reason| reason.contains(breaks.unwrap_or_default())), "{reason:?}");
        settle(&running, &candidacy, false).await;
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
}

/// Steps of every kind whose incumbent and canary refuse all rows → each dead letter names the one that has refused it.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_who_refuses() {
    let lists = lists(2_000);
    let mut job = Job::default();
    let (played, done) = slowly(lists);
    let source = job.source(played, 300, Mood::Well);
    let refusing = |step: &str, number| -> Version {
        let (mut tag, mut count, mut numbering) = (tag(number), count(number), numbering(number));
        for edition in [&mut tag.edition, &mut count.edition, &mut numbering.edition] {
            edition.refuses = true;
        }
        match step {
            "tag" => Version::Transform(Arc::new(tag)),
            "counts" => Version::Aggregate(Arc::new(count)),
            _ => Version::Process(Arc::new(numbering)),
        }
    };
    let (windows, allowed_lateness) = (WindowSpec::Session { gap: Period::from_millis(50) }, Period::default());
    let steps = ["tag", "counts", "numbers"];
    for step in steps {
        let kind = match refusing(step, 1) {
            Version::Transform(plugin) => NodeKind::Transform { plugin },
            Version::Aggregate(plugin) => NodeKind::Aggregate { plugin, windows, allowed_lateness },
            Version::Process(plugin) => NodeKind::Process { plugin, order: Order::EventTime },
        };
        let node = job.node(step, &[(source, Port::Main)], kind);
        job.keep(&format!("{step}_out"), &[(node, Port::Main)]);
    }
    let (dead, mut graph) = (Taken::default(), job.graph());
    let sink = Box::new(Keep { taken: dead.clone(), ..Keep::default() });
    graph.dead_letters = Some(DeadLetters { sink, terms: SinkTerms::default(), late: false });
    let running = wasmill_engine::start(graph, options(2)).await.expect("it starts");
    let mut refused = Vec::new();
    for step in steps {
        let mode = Mode::Canary { key_groups: 512 };
        let candidacy = try_out(&running, step, refusing(step, 2), mode).await;
        until(|| candidacy.report().rejects > 100).await;
        settle(&running, &candidacy, false).await;
        assert_eq!(candidacy.failure(), None, "{step}");
        refused.push(candidacy.report().rejects);
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    let letters: Vec<DeadLetter> =
        dead.sorted().iter().map(|letter| serde_json::from_str(letter).expect("a letter")).collect();
    for (step, refused) in steps.into_iter().zip(refused) {
        let of_step = letters.iter().filter(|letter| letter.step == step);
        let is_canary = |letter: &&DeadLetter| letter.plugin.as_ref().is_some_and(|plugin| plugin.version == "2");
        let (canary, incumbent): (Vec<&DeadLetter>, Vec<&DeadLetter>) = of_step.partition(is_canary);
        assert_eq!((canary.len() as u64, incumbent.is_empty()), (refused, false), "{step}");
        let group = |letter: &DeadLetter| {
            let key = letter.key.as_ref().and_then(|key| key.bytes()).expect("rows have keys");
            key::group(key::hash(&key))
        };
        assert!(canary.into_iter().all(|letter| group(letter) < 512), "{step}: a key of the incumbent");
    }
}

/// A transform whose rows take their time, as its ledger says.
#[derive(Clone)]
struct Drops {
    native: Native,
    edition: Edition,
    per_row: Took,
}

native!(Drops);

impl TransformPlugin for Drops {
    fn instantiate(&self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(self.clone()))
    }
}

/// Drops every second row, or none.
fn dropping(number: u32, drops: bool) -> Drops {
    let edition = Edition { number, surplus: u64::from(drops), ..Edition::default() };
    let native = known(number, Needs { writes_values: true, ..Needs::default() });
    Drops { native, edition, per_row: Took::default() }
}

/// Refuses all rows.
fn refusing(number: u32) -> Drops {
    let mut refusing = dropping(number, false);
    refusing.edition.refuses = true;
    refusing
}

impl Transform for Drops {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let rows = batch.times.len();
        let (cpu, wall) = (self.per_row.cpu * rows as u32, self.per_row.wall * rows as u32);
        self.native.ledger.call(rows, Took { cpu, wall }, false);
        if self.edition.refuses {
            let main = Rows { origins: Some(Vec::new()), values: Some(Binary::default()), ..Rows::default() };
            return Ok(Transformed { main, rejects: self.edition.refusals(rows), ..Transformed::default() });
        }
        let step = self.edition.surplus as usize + 1;
        let origins: Vec<u32> = (0..batch.times.len() as u32).step_by(step).collect();
        let values = origins.iter().map(|_| "x").collect();
        Ok(Transformed {
            main: Rows { origins: Some(origins), values: Some(values), ..Rows::default() },
            ..Transformed::default()
        })
    }
}
