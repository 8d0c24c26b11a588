//! The `stdin` source, over a pipe: the test's own standard input belongs to whoever runs it.

use crate::harness::{Heard, Listener, Place, source};
use crate::source_suite;
use std::io::{Read, Write, pipe};
use wasmill_connect::stdin::lines_of;
use wasmill_stream::source::Source;

fn lines(input: impl Read + Send + 'static) -> Box<dyn Source> {
    Box::new(lines_of("in", input))
}

/// Standard input to its end: all lines, and a last one without an end.
#[tokio::test]
async fn delivers_and_ends() {
    let expected: Vec<_> = (0..5000).map(|n| format!("line {n}")).collect();
    let input = || std::io::Cursor::new(expected.join("\n"));
    source_suite::delivers_and_ends(lines(input()), 3, &expected).await;
    source_suite::survives_a_small_budget(lines(input()), 1, &expected).await;
    source_suite::delivers_and_ends(lines(std::io::empty()), 1, &[]).await;
}

/// A line is there as soon as it is written; in the silence after it the split is caught up; then it goes on.
#[tokio::test]
async fn lines_come_as_they_are_written() {
    let (output, mut input) = pipe().expect("a pipe");
    let mut listener = Listener::start(lines(output), 1, 1 << 20);
    for n in 1..=2 {
        writeln!(input, "line {n}").expect("room in the pipe");
        listener.listen_until(|splits| all(splits.values(), |heard| heard.records.len() == n)).await;
        let before: usize = listener.splits.values().map(|heard| heard.caught_up).sum();
        listener.listen_until(|splits| all(splits.values(), |heard| heard.caught_up > before)).await;
    }
    drop(input);
    listener.finish().await.expect("the end of the pipe is the end");
    let heard = listener.splits.values().next().expect("one split");
    assert!(heard.done);
    assert_eq!(heard.records.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 2].map(Place::Number));
}

/// A silent input that nobody closes does not keep the job from stopping.
#[tokio::test]
async fn stops_in_silence() {
    let (output, _input) = pipe().expect("a pipe");
    let mut listener = Listener::start(lines(output), 1, 1 << 20);
    listener.listen_until(|splits| all(splits.values(), |heard| heard.caught_up > 0)).await;
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
    assert!(listener.splits.values().all(|heard| !heard.done));
    source_suite::stops_while_it_waits(lines(std::io::Cursor::new("line\n".repeat(200_000))), 1).await;
}

/// An input that breaks is an error with its cause, after what came before.
#[tokio::test]
async fn broken_input() {
    struct Unplugged;
    impl Read for Unplugged {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("unplugged"))
        }
    }
    let input = lines(std::io::Cursor::new("one\ntw").chain(Unplugged));
    source_suite::fails(input, &["one"], &["unplugged"]).await;
}

/// A job that goes on takes what comes now as the rest of the stream: lines are numbered on, so that no position means two
/// lines. An input that had ended is not read.
#[tokio::test]
async fn goes_on_with_what_comes_now() {
    let mut first = Listener::start(lines(std::io::Cursor::new("one\n\nthree\n")), 1, 1 << 20);
    first.listen_until(|splits| all(splits.values(), |heard| heard.records.len() == 2)).await;
    let checkpoint = first.checkpoint();
    let second = || lines(std::io::Cursor::new("four\n"));
    let mut went_on = Listener::go_on(second(), 1, 1 << 20, Some(checkpoint));
    went_on.finish().await.expect("the end of the input is the end");
    let heard = went_on.splits.values().next().expect("one split");
    assert_eq!(heard.records, [(Place::Number(4), "four".to_owned())]);
    let mut ended = Listener::go_on(second(), 1, 1 << 20, Some(went_on.checkpoint()));
    ended.finish().await.expect("nothing to do");
    assert!(ended.splits.is_empty());
}

/// It is in the list, without settings.
#[test]
fn listed() {
    assert!(source("stdin", "").is_ok());
    assert!(source("stdin", "path = \"x\"").is_err());
}

fn all<'a>(mut splits: impl ExactSizeIterator<Item = &'a Heard>, test: impl Fn(&Heard) -> bool) -> bool {
    splits.len() == 1 && splits.all(test)
}
