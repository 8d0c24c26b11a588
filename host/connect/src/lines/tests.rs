use super::*;
use proptest::prelude::*;

fn read_all(input: impl Read, fill: Fill) -> Vec<(u64, Vec<u8>)> {
    let mut reader = LineReader::new(input, fill);
    let mut records = Vec::new();
    loop {
        let runs = reader.read().expect("the input has no failures");
        if runs.is_empty() {
            return records;
        }
        for run in runs {
            let numbered = run.values.iter().enumerate().map(|(row, value)| (run.first + row as u64, value.to_vec()));
            records.extend(numbered);
        }
    }
}

/// Hands out few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let take = self.1.min(buffer.len());
        (&mut self.0).take(take as u64).read(buffer)
    }
}

/// Blank lines, `\r\n`, a byte order mark and a last line without an end: records keep the number of their line.
#[test]
fn lines_and_numbers() {
    let input = b"\xEF\xBB\xBF{}\r\n\n \t\r\n[1]\nlast";
    let expected = [(1, b"{}".to_vec()), (4, b"[1]".to_vec()), (5, b"last".to_vec())];
    assert_eq!(read_all(&input[..], Fill::Whole), expected);
    assert_eq!(read_all(&b""[..], Fill::Whole), []);
    assert_eq!(read_all(&b"\n\n"[..], Fill::Whole), []);
}

/// A line above the limit becomes one record of exactly the limit; the lines around it are untouched.
#[test]
fn long_line_is_cut() {
    let mut input = b"before\n".to_vec();
    input.resize(input.len() + 3 * RECORD_LIMIT, b'x');
    input.extend_from_slice(b"\nafter\n");
    let records = read_all(&input[..], Fill::Whole);
    let shape: Vec<_> = records.iter().map(|(line, value)| (*line, value.len())).collect();
    assert_eq!(shape, [(1, 6), (2, RECORD_LIMIT), (3, 5)]);
}

/// Lines that were whole before a failure come first, the cut one does not come at all.
#[test]
fn failure_comes_last() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    let mut reader = LineReader::new(b"one\ntwo\nthr".chain(Fails), Fill::Whole);
    let runs = reader.read().expect("two whole lines");
    assert_eq!(runs, [Run { first: 1, values: ["one", "two"].into_iter().collect() }]);
    assert_eq!(reader.read().expect_err("unplugged").to_string(), "unplugged");
    assert_eq!(reader.read().expect("ended"), []);
}

/// A line from a pipe is handed over although its successor is not there yet.
#[test]
fn pipe_lines_come_promptly() {
    let mut reader = LineReader::new(Trickle(b"one\ntwo\n", 5), Fill::Prompt);
    assert_eq!(reader.read().expect("readable")[0].values.len(), 1);
}

proptest! {
    /// However the bytes arrive, the records are the non-blank lines with their numbers.
    #[test]
    fn same_as_splitting(lines in prop::collection::vec("[a-z ]{0,6}", 0..40), step in 1usize..20) {
        let text = lines.join("\n");
        let expected: Vec<_> = (1..)
            .zip(text.split('\n'))
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(number, line)| (number, line.as_bytes().to_vec()))
            .collect();
        prop_assert_eq!(&read_all(Trickle(text.as_bytes(), step), Fill::Prompt), &expected);
        prop_assert_eq!(&read_all(Trickle(text.as_bytes(), step), Fill::Whole), &expected);
    }
}
