//! What every sink must do. Each case says what it needs; where a subject has none of that, it says why, and nothing is tested.

use super::network::Fault::{Broken, Cut as CutOff, Gateway, Lost, Partly, Throttled};
use super::network::Parcel;
use super::run::{KEYS, Run};
use super::subject::{Applies, Bound, Order, Subject};
use serde_json::Value;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use wasmill_stream::Guarantee;
use wasmill_stream::dead_letter::DeadLetter;
use wasmill_stream::sink::Cut;

/// What a case needs, if the subject has it.
fn applies<T>(case: &str, what: Applies<T>) -> Option<T> {
    what.inspect_err(|reason| eprintln!("DOES NOT APPLY: {case}: {reason}")).ok()
}

fn guarantee(subject: &impl Subject) -> Guarantee {
    subject.sink("").guarantee()
}

async fn seen(subject: &impl Subject) -> Vec<usize> {
    let mut rows = subject.visible().await;
    rows.sort_unstable();
    rows
}

fn all(rows: Range<usize>) -> Vec<usize> {
    rows.collect()
}

/// Rows that were written again are there as often as the guarantee has it.
async fn assert_there(subject: &impl Subject, rows: Range<usize>) {
    let mut found = seen(subject).await;
    if guarantee(subject) == Guarantee::AtLeastOnce {
        found.dedup();
    }
    assert_eq!(found, all(rows));
}

/// Rows count as written once they are flushed, each once; of a batch, those that are selected are written.
pub async fn counts_what_is_safe(subject: &impl Subject) {
    let mut run = Run::start(subject, "").await;
    run.write(0..10).await;
    run.write_some(10..20, &[7, 2]).await;
    for _ in 0..2 {
        run.flush().await;
        let counts = run.ledger.counts();
        assert_eq!((counts.emitted, counts.written, counts.rejected), (12, 12, 0));
    }
    run.close().await;
    let mut expected = all(0..10);
    expected.extend([12, 17]);
    assert_eq!(seen(subject).await, expected);
}

/// Pieces have no more rows than they may have, and are no rows one by one.
pub async fn bounds_of_rows(subject: &impl Subject) {
    let Some(Bound { settings, most }) = applies("rows of a piece", subject.bound_of_rows()) else { return };
    let mut run = Run::start(subject, settings).await;
    let rows = 3 * most + most / 2;
    run.write_in(0..rows, 7).await;
    run.close().await;
    assert_batched(subject, |parcel| parcel.rows, most, 0).await;
    assert_eq!(seen(subject).await, all(0..rows));
}

/// Pieces have no more bytes than they may have, but for what comes together, and are no rows one by one.
pub async fn bounds_of_bytes(subject: &impl Subject) {
    let Some(Bound { settings, most }) = applies("bytes of a piece", subject.bound_of_bytes()) else { return };
    let mut run = Run::start(subject, settings).await;
    run.pad = most / 40;
    let batch = 3 * (run.pad + 200);
    run.write_in(0..160, 3).await;
    run.close().await;
    assert_batched(subject, |parcel| parcel.bytes, most, batch).await;
    assert_eq!(seen(subject).await, all(0..160));
}

async fn assert_batched(subject: &impl Subject, size: fn(&Parcel) -> usize, most: usize, slack: usize) {
    let parcels: Vec<_> = subject.parcels().await.into_iter().filter(|parcel| parcel.rows > 0).collect();
    let sizes: Vec<_> = parcels.iter().map(size).collect();
    assert!(sizes.iter().all(|size| *size <= most + slack), "at most {most}: {sizes:?}");
    let fewest = sizes.iter().sum::<usize>().div_ceil(most);
    assert!((2..=2 * fewest + 1).contains(&sizes.len()), "{fewest} would do: {sizes:?}");
}

/// A row waits for no longer than the job file allows: the engine is told so, and what it flushes then is there.
pub async fn bound_of_time(subject: &impl Subject) {
    let Some(setting) = applies("how long a row may wait", subject.bound_of_time()) else { return };
    let mut run = Run::start(subject, &format!("{setting} = \"1234ms\"")).await;
    assert_eq!(run.flush_interval(), Duration::from_millis(1234));
    run.write(0..3).await;
    run.flush().await;
    assert_eq!(run.ledger.counts().written, 3);
    run.close().await;
    assert_eq!(seen(subject).await, all(0..3));
}

/// Requests that are refused, as a whole or in part, many of them at once → the rows of each key in their order, each once.
pub async fn order_of_keys(subject: &impl Subject) {
    let Some(order) = applies("order", subject.order()) else { return };
    let (Order::Kept(settings) | Order::Last(settings)) = order;
    if let Ok(network) = subject.network() {
        network.next([Throttled, Partly, Broken, Partly].map(Some).into_iter().chain([None]).cycle().take(25));
    }
    let (rows, mut run) = (50 * KEYS, Run::start(subject, settings).await);
    for start in (0..rows).step_by(50) {
        run.write_in(start..start + 50, 9).await;
        run.flush().await;
    }
    assert!(subject.network().is_err() || run.ledger.retries.load(Relaxed) > 0, "tries are counted");
    run.close().await;
    let found = subject.visible().await;
    for key in 0..KEYS {
        let of_key: Vec<_> = found.iter().copied().filter(|row| row % KEYS == key).collect();
        let expected: Vec<_> = (key..rows).step_by(KEYS).collect();
        match order {
            Order::Kept(_) => assert_eq!(of_key, expected),
            Order::Last(_) => assert_eq!(of_key, expected[expected.len() - 1..]),
        }
    }
}

/// Throttles, broken servers and one row that is refused for good → that one is a dead letter, and all others are there.
pub async fn retries(subject: &impl Subject) {
    let (network, poison) = (applies("faults", subject.network()), applies("a refused row", subject.poison()));
    if let Some(network) = network {
        network.next([Throttled, Broken, Partly, Throttled].map(Some));
    }
    let (settings, row) = poison.unwrap_or_default();
    let mut run = Run::start(subject, settings).await;
    run.write(0..10).await;
    let mut expected = all(0..30);
    match poison {
        Some(_) => {
            run.write_with(10..20, (13, row)).await;
            expected.remove(13);
        }
        None => run.write(10..20).await,
    }
    run.write(20..30).await;
    run.flush().await;
    let counts = run.ledger.counts();
    assert_eq!((counts.written as usize, counts.rejected as usize), (expected.len(), 30 - expected.len()));
    let letters = run.ledger.take_refusals(0);
    let letters = letters.iter().flat_map(|batch| batch.values.iter());
    let positions = letters.map(|letter| serde_json::from_slice::<DeadLetter>(letter).expect("a letter").position);
    assert_eq!(positions.flatten().collect::<Vec<_>>(), poison.map(|_| "13".to_owned()).as_slice());
    if let Some(network) = network {
        assert!(network.has_done_its_worst() && run.ledger.retries.load(Relaxed) > 0);
    }
    run.close().await;
    assert_eq!(seen(subject).await, expected);
}

/// Requests that are done and whose answers are lost, with and without checkpoints → what the guarantee promises.
pub async fn lost_answers(subject: &impl Subject) {
    let Some(network) = applies("answers", subject.network()) else { return };
    let lost = || [Lost, CutOff, Gateway].map(Some).into_iter().flat_map(|lost| [lost, None]).cycle().take(12);
    network.next(lost());
    let mut run = Run::start(subject, "").await;
    for start in (0..160).step_by(20) {
        run.write(start..start + 20).await;
        run.flush().await;
    }
    run.close().await;
    assert!(network.disturbed() > 0, "answers were lost");
    assert_there(subject, 0..160).await;

    network.next(lost());
    let mut run = Run::go_on(subject, "", 1, &Value::Null).await;
    for start in (160..320).step_by(20) {
        run.write(start..start + 20).await;
        run.prepare(Cut::Running).await;
        run.commit().await;
    }
    run.end().await;
    assert_there(subject, 0..320).await;
}

/// A checkpoint → before it is committed nothing of it can be seen if the sink commits, after it nothing of what came later; and
/// whatever happens then, what came before it is there.
pub async fn barriers(subject: &impl Subject) {
    let (commits, settings) = (guarantee(subject) == Guarantee::ExactlyOnce, subject.complete_pieces());
    let mut run = Run::go_on(subject, settings, 1, &Value::Null).await;
    run.write(0..30).await;
    run.flush().await;
    assert!(!commits || seen(subject).await.is_empty(), "before a checkpoint is prepared");
    let prepared = run.prepare(Cut::Running).await;
    let found = seen(subject).await;
    assert_eq!(found, if commits { Vec::new() } else { all(0..30) }, "before it is committed");
    run.write(30..40).await;
    run.flush().await;
    run.commit().await;
    assert_eq!(seen(subject).await, all(0..if commits { 30 } else { 40 }), "when it is committed");
    // The process is gone; the next one has what the manifest says.
    drop(run);
    Run::go_on(subject, settings, 2, &prepared).await.end().await;
    assert_eq!(seen(subject).await, all(0..if commits { 30 } else { 40 }));
}

/// Ends with rows in the buffer, stops, a crash, and a run that writes again what no checkpoint had → nothing is lost, and what
/// was not committed is there as often as the guarantee has it.
pub async fn shutdown(subject: &impl Subject) {
    let mut run = Run::start(subject, "").await;
    run.write(0..25).await;
    run.close().await;
    assert_eq!(seen(subject).await, all(0..25));

    let mut run = Run::go_on(subject, "", 1, &Value::Null).await;
    run.write(25..50).await;
    let stopped = run.prepare(Cut::Stop).await;
    run.commit().await;
    run.close().await;
    assert_eq!(seen(subject).await, all(0..50), "a job that stops has shown all that it has");

    let mut run = Run::go_on(subject, "", 2, &stopped).await;
    run.write(50..75).await;
    let prepared = run.prepare(Cut::Running).await;
    run.commit().await;
    run.write(75..90).await;
    drop(run);
    if guarantee(subject) == Guarantee::ExactlyOnce {
        assert!(seen(subject).await.iter().all(|row| *row < 75), "what was not committed");
    }
    let mut run = Run::go_on(subject, "", 3, &prepared).await;
    run.write(75..100).await;
    run.end().await;
    assert_there(subject, 0..100).await;
}

/// Credentials that are exchanged between two writes, the old ones refused → the sink goes on with the new ones.
pub async fn credentials(subject: &impl Subject) {
    if applies("credentials", subject.signs()).is_none() {
        return;
    }
    let network = subject.network().expect("what is signed goes over a network");
    network.rotate();
    let mut run = Run::go_on(subject, "", 1, &Value::Null).await;
    run.write(0..20).await;
    run.flush().await;
    network.rotate();
    run.write(20..40).await;
    run.end().await;
    assert!(network.expired() > 0, "the old ones were refused");
    assert_there(subject, 0..40).await;
}

/// Another side that answers nobody → no more rows are taken than the bound allows; when it answers again, all are there.
pub async fn bound_of_memory(subject: &impl Subject) {
    let Some(Bound { settings, most }) = applies("memory", subject.bound_of_memory()) else { return };
    let mut run = Run::start(subject, settings).await;
    if applies("another side that answers nobody", subject.freeze(true)).is_none() {
        return;
    }
    let (pad, mut rows) = (most / 64, 0);
    run.pad = pad;
    loop {
        let batch = rows..rows + 8;
        let mut write = Box::pin(run.write(batch.clone()));
        // A write that takes longer than this waits, most probably; if it does not, less is tested.
        let waits = tokio::time::timeout(Duration::from_secs(1), &mut write).await.is_err();
        assert!(waits || rows * pad <= most, "it takes more than {rows} rows of {pad} bytes");
        rows = batch.end;
        if waits {
            subject.freeze(false).expect("it was frozen");
            break write.await;
        }
    }
    run.close().await;
    assert_eq!(seen(subject).await, all(0..rows));
}
