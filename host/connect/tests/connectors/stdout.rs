//! The `stdout` sink, into a pipe: the test's own standard output belongs to whoever runs it.

use crate::harness::sink;
use crate::sink_suite::{batch, open, rows};
use std::io::{Write, pipe};
use wasmill_connect::stdout::lines_to;
use wasmill_stream::ErrorKind;
use wasmill_stream::sink::Sink;

fn to(output: impl Write + Send + 'static) -> Box<dyn Sink> {
    Box::new(lines_to(output))
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
