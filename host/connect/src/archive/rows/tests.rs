use super::super::body::{Body, Record};
use super::super::order::Order;
use super::*;
use proptest::prelude::*;
use wasmill_stream::SplitId;

/// A file with several row groups' worth of pages.
fn file() -> Vec<u8> {
    let mut body = Body::new().expect("an empty file");
    for number in 0..500_u64 {
        let split = SplitId::new("in", number % 3);
        let place = ExtendedSequence::parse(&format!("{}:{}", number / 5, number % 5)).expect("a place");
        let data = format!("{{\"number\":{number}}}").into_bytes();
        let record = Record { data: &data, position: Position::Sequence(place), arrived: number as i64 };
        body.push(&split, &record).expect("pushed");
    }
    body.finish("in", Order { run: 1, number: 2 }).expect("a file")
}

/// Reads all of a file. Why not, if it cannot be read.
fn read(bytes: Vec<u8>) -> Result<usize, String> {
    let (size, bytes) = (bytes.len() as u64, Bytes::from(bytes));
    let layout = match Layout::read(&bytes, size)? {
        Tail::Whole(layout) => layout,
        Tail::Needs(more) => return Err(format!("{more} bytes of {size}")),
    };
    let mut rows = 0;
    for group in 0..layout.groups() {
        let range = layout.range(group, size)?;
        rows += layout.records(group, range.start, bytes.slice(range.start as usize..range.end as usize))?.data.len();
    }
    Ok(rows)
}

/// A file that is whole, and what is none.
#[test]
fn files() {
    assert_eq!(read(file()), Ok(500));
    for (bytes, expected) in [(b"".to_vec(), "footer"), (b"PAR1".to_vec(), "footer"), (vec![0; 100], "footer")] {
        let error = read(bytes).expect_err("no file");
        assert!(error.contains(expected), "{error}");
    }
    let other =
        parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema().expect("a schema"), Arc::default());
    let other = other.expect("a writer").into_inner().expect("an empty file");
    let error = read(other).expect_err("it says nothing about itself");
    assert!(error.contains("wasmill.archive"), "{error}");
}

/// Part of the end of a file → so much more is asked for.
#[test]
fn footers_in_two_reads() {
    let file = Bytes::from(file());
    let size = file.len() as u64;
    let Ok(Tail::Needs(more)) = Layout::read(&file.slice(file.len() - 10..), size) else { panic!("it is not enough") };
    let whole = Layout::read(&file.slice(file.len() - more as usize..), size);
    assert!(matches!(whole, Ok(Tail::Whole(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Some bytes are others, or missing → an error or records, and never a panic.
    #[test]
    fn damaged_files(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in proptest::option::weighted(0.1, any::<prop::sample::Index>()), in_footer: bool) {
        let mut bytes = file();
        let from = if in_footer { bytes.len() * 2 / 3 } else { 0 };
        for (at, byte) in changes {
            let at = from + at.index(bytes.len() - from);
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = read(bytes);
    }
}
