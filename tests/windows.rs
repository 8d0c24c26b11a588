//! Sliding and session windows end to end against brute force, and what happens to rows that come late.

use crate::harness::cells::{self, RESULTS};
use crate::harness::data::json_lines;
use crate::harness::job::Job;
use crate::harness::program::wasmill;
use crate::oracle::windows::{self, Answer, Row};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};

const START: i64 = 1_356_998_400_000;
const DISORDER: i64 = 30_000;
const REPLAY: &str = "type = \"replay\"\npath = \"${in}\"\nsplits = 4";

/// Rows of five keys, five a second, up to half a minute out of order.
fn rows(count: i64) -> Vec<Row> {
    let mut state = 1u64;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64 % below
    };
    let mut row = |number: i64| Row {
        key: format!("{}|4075", random(5) - 7400),
        time: START + number * 200 - random(DISORDER),
        amount: random(100),
    };
    (0..count).map(&mut row).collect()
}

fn assert_equals_brute_force(window: &str, answer: impl Fn(&[Row]) -> Answer) {
    let dir = tempfile::tempdir().expect("a folder");
    let (input, rows) = (dir.path().join("in.jsonl"), rows(20_000));
    cells::write(&input, &rows);
    let expected = answer(&rows);
    for workers in [1, 2, 4] {
        let text = cells::job(REPLAY, "disorder = \"30s\"", window, RESULTS);
        let job = Job::new(text).set("in", input.display()).set("out", dir.path().display());
        let ledger = job.workers(workers).run();
        let late = ledger.step("averages").expect("it is in the job").counts().late;
        assert_eq!(late, 0, "no row is further behind than the disorder");

        let found = cells::results_in(dir.path());
        let wrong = found.iter().find(|(window, result)| expected.get(window) != Some(result));
        let right = wrong.and_then(|(window, _)| expected.get(window));
        assert!(wrong.is_none(), "{window}, {workers} workers: {wrong:?}, expected {right:?}");
        assert_eq!(found.len(), expected.len(), "{window}, {workers} workers");
    }
}

/// Disorderly rows in 4 splits, 5-minute windows every minute → each window as brute force has it, with 1, 2, 4 workers.
#[test]
fn sliding() {
    let minute = 60_000;
    assert_equals_brute_force(r#"window = { sliding = "5m", every = "1m" }"#, |rows| {
        windows::sliding(rows, 5 * minute, minute)
    });
}

/// A slide that does not divide the size → the same.
#[test]
fn sliding_unevenly() {
    assert_equals_brute_force(r#"window = { sliding = "100s", every = "30s" }"#, |rows| {
        windows::sliding(rows, 100_000, 30_000)
    });
}

/// Disorderly rows join and bridge sessions in any order → each session as brute force has it.
#[test]
fn sessions() {
    assert_equals_brute_force(r#"window = { session = "3s" }"#, |rows| windows::session(rows, 3_000));
}

/// Rows of which every fiftieth comes ten minutes late, through an engine that closes epochs all the time → whichever rows
/// it calls late, they are truly behind, and the windows are those of all other rows.
#[test]
fn late_rows_leave_by_the_side() {
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("in.jsonl");
    let mut rows = rows(60_000);
    // Amounts tell the rows apart.
    rows.iter_mut().enumerate().for_each(|(number, row)| row.amount = number as i64);
    rows.iter_mut().skip(10_000).step_by(50).for_each(|row| row.time -= 600_000);
    cells::write(&input, &rows);
    for workers in [1, 2, 4] {
        let text = cells::job(REPLAY, "disorder = \"30s\"", "window = { tumbling = \"1m\" }", RESULTS);
        let job = Job::new(text).set("in", input.display()).set("out", dir.path().display());
        let ledger = job.workers(workers).run();

        let late: Vec<_> = json_lines(&cells::late_in(dir.path()).join("\n"));
        let late: Vec<_> = late.iter().map(|row| row["total_amount"].as_i64().expect("a number") as usize).collect();
        assert_eq!(ledger.step("averages").expect("it is in the job").counts().late, late.len() as u64);
        assert!(late.iter().all(|number| *number >= 10_000 && number % 50 == 0), "{late:?}");
        let taken = |number: &usize| !late.contains(number);
        let others: Vec<_> = (0..rows.len()).filter(taken).map(|number| rows[number].clone()).collect();
        let expected = windows::tumbling(&others, 60_000);
        assert!(cells::results_in(dir.path()) == expected, "{workers} workers, {} late rows", late.len());
    }
}

/// A conversation with a job over a pipe: rows in, results out, so that a row is sure to come after a window has fired.
struct Pipe {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Pipe {
    fn say(&mut self, second: i64, amount: i64) {
        let row = Row { key: "0|0".to_owned(), time: START + second * 1_000, amount };
        writeln!(self.stdin, "{}", cells::line(&row)).expect("the job reads");
    }

    /// The next result: start and end in seconds, number of rows, sum of amounts.
    fn hear(&mut self) -> (i64, i64, i64, i64) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the job writes text");
        let ((start, end, _), (count, sum)) = cells::result(&json_lines(&line)[0]);
        ((start - START) / 1_000, (end - START) / 1_000, count, sum)
    }
}

/// Rows for a window that has fired, within the allowed lateness and after it → the first changes the result, the second
/// leaves by the side with its bytes.
#[test]
fn lateness() {
    let dir = tempfile::tempdir().expect("a folder");
    let window = "window = { tumbling = \"10s\" }\nallowed_lateness = \"1m\"";
    let text = cells::job("type = \"stdin\"", "disorder = \"1s\"", window, "type = \"stdout\"");
    fs::write(dir.path().join("job.toml"), text).expect("it can be written");
    let mut command = wasmill(dir.path());
    command.args(["run", "job.toml", "--set=out=.", "--workers=2"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let stdin = child.stdin.take().expect("it is a pipe");
    let mut pipe = Pipe { stdin, stdout: BufReader::new(child.stdout.take().expect("it is a pipe")) };

    pipe.say(0, 1);
    pipe.say(9, 2);
    pipe.say(30, 4);
    assert_eq!(pipe.hear(), (0, 10, 2, 3), "on time");
    pipe.say(5, 8);
    assert_eq!(pipe.hear(), (0, 10, 3, 11), "corrected");
    pipe.say(100, 16);
    assert_eq!(pipe.hear(), (30, 40, 1, 4), "on time");
    pipe.say(6, 32);
    let Pipe { stdin, mut stdout } = pipe;
    drop(stdin);
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the job writes text");
    assert_eq!(cells::result(&json_lines(&line)[0]).1, (1, 16), "the last window fires at the end");
    assert!(child.wait().expect("it ends").success());
    let late = cells::late_in(dir.path());
    let expected = cells::line(&Row { key: "0|0".to_owned(), time: START + 6_000, amount: 32 });
    assert_eq!(late, [expected]);
}
