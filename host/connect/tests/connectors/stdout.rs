//! The `stdout` sink, into a pipe: the test's own standard output belongs to whoever runs it.

use crate::harness::sink;
use crate::sink_suite::{self, batch, open, rows, write_all};
use std::io::{Read, Write, pipe};
use std::thread;
use wasmill_connect::stdout::lines_to;
use wasmill_stream::ErrorKind;
use wasmill_stream::sink::Sink;

fn to(output: impl Write + Send + 'static) -> Box<dyn Sink> {
    Box::new(lines_to(output))
}

/// What was written is readable at once after a flush, and everything is there at the end.
#[tokio::test]
async fn counts_and_contents() {
    let (mut output, input) = pipe().expect("a pipe");
    let expected = sink_suite::counts_what_is_safe(to(input)).await;
    let mut text = String::new();
    output.read_to_string(&mut text).expect("text until the sink is dropped");
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

/// More rows than the pipe holds wait for their reader, and none is lost.
#[tokio::test]
async fn waits_for_its_reader() {
    let expected = rows(50_000);
    let (mut output, input) = pipe().expect("a pipe");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    write_all(to(input), &expected, 1000).await;
    let text = reader.join().expect("no panic").expect("text");
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

/// A reader that has gone away ends the job without a failure, and what it did not take is not counted.
#[tokio::test]
async fn reader_has_gone() {
    let (output, input) = pipe().expect("a pipe");
    let (mut writer, ledger) = open(to(input)).await;
    drop(output);
    writer.write(batch(&rows(1))).await.expect("a row in the buffer");
    let error = writer.flush().await.expect_err("nobody reads");
    assert_eq!((error.kind(), ledger.counts().emitted), (ErrorKind::Closed, 0));
}

/// It is in the list, without settings.
#[test]
fn listed() {
    assert!(sink("stdout", "").is_ok());
    assert!(sink("stdout", "path = \"x\"").is_err());
}
