use super::*;
use std::time::Duration;

fn batch(rows: usize) -> Batch {
    let values = (0..rows).map(|row| vec![b'v'; row + 1]).collect::<Vec<_>>();
    let values = values.iter().map(Vec::as_slice).collect();
    Batch { times: (0..rows as i64).collect(), values, ..Batch::default() }
}

fn watched() -> Watched {
    Watched {
        name: "a".into(),
        ledger: Arc::default(),
        sources: Vec::new(),
        ports: vec![("main".to_owned(), Port::Main), ("late".to_owned(), Port::Late)],
        keeps_time: true,
        lookout: Arc::default(),
        clock: Arc::new(EpochClock::new(Duration::from_secs(3600), 1)),
    }
}

/// A sample of one output → a few rows of each batch that goes out there, until there are as many as were wanted; then, or
/// when whoever looked has gone, nobody looks any more.
#[test]
fn samples() {
    let step = watched();
    assert!(!step.lookout.is_wanted());
    let mut rows = step.sample("main", 7).expect("it is read");
    step.lookout.show(Port::Late, &batch(3));
    assert!(rows.try_recv().is_err() && step.lookout.is_wanted());
    step.lookout.show(Port::Main, &batch(100));
    step.lookout.show(Port::Main, &batch(100));
    assert!(!step.lookout.is_wanted());
    let times: Vec<i64> = std::iter::from_fn(|| rows.try_recv().ok()).map(|row| row.time).collect();
    assert_eq!(times, [0, 1, 2, 3, 4, 0, 1]);
    drop(step.sample("late", 1).expect("it is read"));
    step.lookout.show(Port::Main, &batch(1));
    assert!(!step.lookout.is_wanted());
    assert!(step.sample("side", 1).expect_err("nobody reads it").to_string().contains("outputs: main, late"));
}

/// Whoever does not read what he wanted to see → the job does not wait, and he sees fewer rows. Many at a time are refused.
#[test]
fn nobody_waits() {
    let step = watched();
    let rows = step.sample("main", 1_000).expect("it is read");
    for _ in 0..100 {
        step.lookout.show(Port::Main, &batch(10));
    }
    assert_eq!(rows.len(), WAITING);
    let others: Vec<_> = (1..WISHES).map(|_| step.ask(None).expect("there is room")).collect();
    assert!(step.ask(None).is_err_and(|error| error.to_string().contains("16 others")));
    drop(others);
    step.ask(None).expect("there is room again");
}

/// Values that are long, or that nobody reads → cut, or left out, and both can be seen.
#[test]
fn what_is_shown_of_a_row() {
    let long = vec![0; LONGEST + 1];
    let cut =
        sampled(&Batch { times: vec![1], values: [long.as_slice()].into_iter().collect(), ..Batch::default() }, 0);
    assert_eq!((cut.is_cut, cut.value.map(|value| value.len()), cut.key), (true, Some(LONGEST), None));
    let bare = sampled(&Batch { times: vec![1], ..Batch::default() }, 0);
    assert_eq!(bare, SampledRow { time: 1, key: None, value: None, is_cut: false });
}

/// A question to two workers → each answers once, with the key that was asked for; then it is forgotten.
#[test]
fn questions() {
    let step = watched();
    let mut answers = step.ask(Some(b"k")).expect("there is room");
    let held = |watermark| Told { watermark, windows: Vec::new() };
    for (worker, watermark) in [(0, 1), (0, 2), (1, 3)] {
        assert!(step.lookout.is_wanted());
        step.lookout.tell((worker, 2), |key, _| {
            assert_eq!(key, Some(&b"k"[..]));
            held(watermark)
        });
    }
    assert!(!step.lookout.is_wanted());
    assert_eq!((answers.try_recv(), answers.try_recv()), (Ok(held(1)), Ok(held(3))));
    assert!(answers.try_recv().is_err_and(|error| error == mpsc::error::TryRecvError::Disconnected));
}
