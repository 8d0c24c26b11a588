//! A pipe, and whoever reads it.

use super::network::Network;
use super::run::number;
use super::subject::{Applies, Bound, Order, Subject};
use async_trait::async_trait;
use std::io::{BufRead, BufReader, PipeWriter, Write, pipe};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use wasmill_connect::stdout::lines_to;
use wasmill_stream::sink::Sink;

const NO_NETWORK: &str = "a pipe is no network";
/// What nobody but this test writes into it.
const MARK: &str = "mark";

/// A pipe whose lines are taken as they come.
pub struct Pipe {
    input: PipeWriter,
    read: Arc<(Mutex<Read>, Condvar)>,
}

#[derive(Default)]
struct Read {
    lines: Vec<String>,
    marks: usize,
    is_frozen: bool,
}

impl Pipe {
    pub async fn start() -> Option<Self> {
        let (output, input) = pipe().expect("a pipe");
        let read = Arc::<(Mutex<Read>, Condvar)>::default();
        let reading = read.clone();
        thread::spawn(move || {
            let (read, changed) = &*reading;
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let read = read.lock().expect("no thread panics in here");
                let mut read = changed.wait_while(read, |read| read.is_frozen).expect("no thread panics in here");
                if line == MARK {
                    read.marks += 1;
                    changed.notify_all();
                } else {
                    read.lines.push(line);
                }
            }
        });
        Some(Self { input, read })
    }
}

#[async_trait]
impl Subject for Pipe {
    const KIND: &'static str = "stdout";

    fn sink(&self, more: &str) -> Box<dyn Sink> {
        assert!(more.is_empty(), "it has no settings: {more}");
        Box::new(lines_to(self.input.try_clone().expect("another end of the pipe")))
    }

    async fn visible(&self) -> Vec<usize> {
        let (read, changed) = &*self.read;
        let marks = read.lock().expect("no thread panics in here").marks;
        writeln!(&self.input, "{MARK}").expect("somebody reads");
        let read = read.lock().expect("no thread panics in here");
        let read = changed.wait_while(read, |read| read.marks == marks).expect("no thread panics in here");
        read.lines.iter().map(|line| number(line.as_bytes())).collect()
    }

    fn network(&self) -> Applies<&Network> {
        Err(NO_NETWORK)
    }

    fn freeze(&self, frozen: bool) -> Applies<()> {
        let (read, changed) = &*self.read;
        read.lock().expect("no thread panics in here").is_frozen = frozen;
        changed.notify_all();
        Ok(())
    }

    fn bound_of_rows(&self) -> Applies<Bound> {
        Err("a pipe has no pieces")
    }

    fn bound_of_bytes(&self) -> Applies<Bound> {
        Err("a pipe has no pieces")
    }

    fn bound_of_time(&self) -> Applies<&'static str> {
        Err("there is no setting for it: somebody may be looking")
    }

    fn bound_of_memory(&self) -> Applies<Bound> {
        // The sink's buffer, the pipe and that of the reader.
        Ok(Bound { settings: "", most: 192 << 10 })
    }

    fn order(&self) -> Applies<Order> {
        Ok(Order::Kept(""))
    }

    fn poison(&self) -> Applies<(&'static str, &'static str)> {
        Err("any row is a line")
    }
}
