//! Records as they were read: a sink has them whatever becomes of them.

use crate::parts::*;
use wasmill_engine::{NodeKind, Port};
use wasmill_stream::Error;
use wasmill_stream::watermark::{EventTime, WatermarkSpec};

fn list(keys: &[&str]) -> Vec<Event> {
    (0..).zip(keys).map(|(time, key)| (time * 10, (*key).to_owned())).collect()
}

/// Records that the decoder drops and rejects → they are in the archive with the others, in their order, and in the balance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_decoder_refuses() {
    for workers in [1, 3] {
        let list = list(&["a", "skip", "b", "bad", "a", "bad", "skip", "c", "b"]);
        let mut job = Job::default();
        let source = job.source(Lists::new(vec![list.clone()]), 0, Mood::Well);
        let rows = job.keep("rows", &[(source, Port::Main)]);
        let archive = job.keep("archive", &[(source, Port::Raw)]);
        let ledger = job.run(workers).await.expect("it ends");
        assert_balance(&ledger);
        assert_eq!(rows.sorted().len(), 5);
        let read: Vec<_> = list.iter().map(|(time, key)| format!("{time} {key}")).collect();
        assert_eq!(*archive.rows.lock().expect("not poisoned"), read);
        let counts = |name: &str| ledger.step(name).expect("it is in the job").counts();
        assert_eq!((counts("archive").read, counts("list").read), (9, 9));
        // An archive that is read back under the name of the source gives the same ids.
        assert_eq!(archive.ids.lock().expect("not poisoned")[2], "list|list/0|2");
    }
}

/// A decoder that asks for patience and gets no further → what was read is in the archive all the same, once, while it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_decoder_waits() {
    let list = list(&["a", "b", "poison", "c"]);
    let mut job = Job::default();
    let source = job.source(Lists::new(vec![list.clone()]), 0, Mood::Waits);
    let rows = job.keep("rows", &[(source, Port::Main)]);
    let archive = job.keep("archive", &[(source, Port::Raw)]);
    let running = wasmill_engine::start(job.graph(), options(1)).await.expect("it starts");
    until("the archive", || (archive.sorted().len() == list.len()).then_some(())).await;
    assert!(rows.sorted().is_empty());
    running.stopper().abort(Error::internal("enough"));
    running.wait().await.expect_err("it was broken off");
    assert_eq!(archive.sorted().len(), list.len());
}

/// A step that reads records as they were read, or a sink that reads those of a step → refused.
#[tokio::test]
async fn only_sinks_and_only_of_sources() {
    let graph = |of_step: bool| {
        let mut job = Job::default();
        let (time, watermark) = (EventTime::Arrival, WatermarkSpec::default());
        let source = NodeKind::Source { source: Box::new(Lists::new(vec![])), decoder: None, time, watermark };
        let source = job.node("list", &[], source);
        let port = if of_step { Port::Main } else { Port::Raw };
        let plugin = Parse::new(Mood::Well);
        let step = job.node("step", &[(source, port)], NodeKind::Transform { plugin });
        job.keep("archive", &[(step, if of_step { Port::Raw } else { Port::Main })]);
        job.graph()
    };
    for of_step in [false, true] {
        let error = wasmill_engine::start(graph(of_step), options(1)).await.err().expect("refused").to_string();
        assert!(error.contains("has no output Raw"), "{error}");
    }
}
