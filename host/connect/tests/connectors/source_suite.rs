//! What every source must do. A test of a connector calls these functions with sources that are ready to be run.

use crate::harness::{Heard, Listener};
use std::collections::BTreeMap;
use wasmill_stream::source::Source;
use wasmill_stream::{ErrorKind, SplitId};

const ROOMY: u32 = 16 << 20;

/// The source opens its splits, delivers exactly these records in whatever split and order, ends every split and returns.
/// The listener checks on the way that splits are opened first, that nothing follows an end and that positions ascend.
pub async fn delivers_and_ends(
    source: Box<dyn Source>,
    workers: usize,
    expected: &[String],
) -> BTreeMap<SplitId, Heard> {
    let mut listener = Listener::start(source, workers, ROOMY);
    listener.finish().await.expect("the source ends without an error");
    let splits = listener.splits;
    assert!(splits.values().all(|heard| heard.done), "every split ends: {:?}", splits.keys());
    assert_eq!(sorted(splits.values().flat_map(Heard::values)), sorted(expected.iter().map(String::as_str)));
    splits
}

/// The source delivers everything although only a small part of it may be in flight at a time.
pub async fn survives_a_small_budget(source: Box<dyn Source>, workers: usize, expected: &[String]) {
    let mut listener = Listener::start(source, workers, 1);
    listener.finish().await.expect("the source ends without an error");
    assert_eq!(sorted(listener.splits.values().flat_map(Heard::values)), sorted(expected.iter().map(String::as_str)));
}

/// The source, which has more records than the budget allows, waits when nothing is ever finished with, and returns when it
/// is asked to stop; splits that it did not read to their end are not done, or their windows would fire.
pub async fn stops_while_it_waits(source: Box<dyn Source>, workers: usize) {
    let mut listener = Listener::start(source, workers, 1);
    listener.hold();
    listener.listen_until(|splits| splits.values().any(|heard| !heard.records.is_empty())).await;
    listener.stop();
    if let Err(error) = listener.finish().await {
        assert_eq!(error.kind(), ErrorKind::Closed, "a stop is no failure: {}", error.report());
    }
    assert!(listener.splits.values().any(|heard| !heard.done), "a stopped source is not done");
}

/// The source fails with a message that has all of these words in it, after it has opened its splits and delivered exactly
/// these records; no split ends.
pub async fn fails(source: Box<dyn Source>, before: &[&str], words: &[&str]) {
    let mut listener = Listener::start(source, 1, ROOMY);
    let error = listener.finish().await.expect_err("the source fails");
    let report = error.report();
    assert!(words.iter().all(|word| report.contains(word)), "{words:?} in: {report}");
    assert!(!listener.splits.is_empty(), "splits are opened in any case");
    assert!(listener.splits.values().all(|heard| !heard.done), "a failed split has not ended");
    assert_eq!(sorted(listener.splits.values().flat_map(Heard::values)), sorted(before.iter().copied()));
}

fn sorted<'a>(records: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut records: Vec<_> = records.collect();
    records.sort_unstable();
    records
}
