use super::super::footer::Footer;
use super::super::rows::{Layout, Tail};
use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;
use wasmill_stream::{Binary, ExtendedSequence, Positions};

/// A record, as it goes in and as it comes out.
type Known = (String, Position, i64, Vec<u8>);

fn batch(source: &str, split: &SplitId, records: &[(ExtendedSequence, i64, Vec<u8>)]) -> Batch {
    let positions = Positions::Extended(records.iter().map(|(place, ..)| *place).collect());
    let lineage = Lineage { split: split.clone(), positions: Arc::new(positions), records: None, bytes: None };
    Batch {
        step: source.into(),
        times: records.iter().map(|(_, arrived, _)| *arrived).collect(),
        values: records.iter().map(|(.., bytes)| bytes).collect::<Binary>(),
        lineage: Some(lineage),
        ..Batch::default()
    }
}

fn place(number: u64, sub: Option<u32>) -> ExtendedSequence {
    let sequence = ExtendedSequence::parse(&number.to_string()).expect("a number").sequence;
    ExtendedSequence { sequence, sub }
}

/// What a file has.
fn read(bytes: Vec<u8>) -> (Footer, Vec<Known>) {
    let (size, bytes) = (bytes.len() as u64, Bytes::from(bytes));
    let Ok(Tail::Whole(layout)) = Layout::read(&bytes, size) else { panic!("the footer is there") };
    let mut found = Vec::new();
    for group in 0..layout.groups() {
        let range = layout.range(group, size).expect("it lies in the file");
        let part = bytes.slice(range.start as usize..range.end as usize);
        let records = layout.records(group, range.start, part).expect("it can be read");
        for row in 0..records.data.len() {
            let split = String::from_utf8(records.splits[row].data().to_vec()).expect("text");
            let data = records.data[row].data().to_vec();
            found.push((split, records.positions[row], records.arrived[row], data));
        }
    }
    (layout.footer, found)
}

/// An hour after the other, a clock that goes back, and a file that is complete before its hour is over → names by hours, files in
/// the order of each split's records, each record as it was.
#[test]
fn hours_follow_each_other() {
    let mut gathering = Gathering::new("raw/".to_owned(), 400, 7);
    let (one, other) = (SplitId::new("trips", "a"), SplitId::behind("trips", "b", vec!["a".into()]));
    let hour = |hour: i64, minute: i64| {
        1_357_000_000_000 - 1_357_000_000_000 % STEP_MILLIS + hour * STEP_MILLIS + minute * 60_000
    };
    let record = |number, at, length| (place(number, None), at, vec![b'x'; length]);
    let mut complete = gathering.take(&batch("trips", &one, &[record(1, hour(0, 59), 3)])).expect("taken");
    complete.extend(gathering.take(&batch("trips", &one, &[record(2, hour(1, 0), 3)])).expect("taken"));
    complete.extend(gathering.take(&batch("trips", &one, &[record(3, hour(0, 59), 3)])).expect("taken"));
    complete.extend(gathering.take(&batch("trips", &other, &[record(4, hour(0, 59), 3)])).expect("taken"));
    assert!(complete.is_empty(), "none of them is large");
    complete.extend(gathering.take(&batch("trips", &other, &[record(5, hour(1, 1), 400)])).expect("taken"));
    assert_eq!(complete.len(), 2, "a large file, and the one of the hour before");
    complete.extend(gathering.take(&batch("trips", &one, &[record(6, hour(1, 2), 3)])).expect("taken"));
    complete.extend(gathering.finish().expect("finished"));
    let folder = |hour: &str| format!("raw/source=trips/date=2013-01-01/hour={hour}/");
    let names: Vec<_> = complete.iter().map(|complete| complete.prefix.clone()).collect();
    assert_eq!(names, [folder("00"), folder("01"), folder("01")]);
    let files: Vec<_> = complete.into_iter().map(|complete| read(complete.bytes)).collect();
    let numbers =
        files.iter().map(|(_, records)| records.iter().map(|(_, position, ..)| position.to_string()).collect());
    assert_eq!(numbers.collect::<Vec<Vec<_>>>(), [vec!["1", "4"], vec!["2", "3", "5"], vec!["6"]]);
    let orders: Vec<_> = files.iter().map(|(footer, _)| (footer.order.run, footer.order.number)).collect();
    assert_eq!(orders, [(7, 0), (7, 1), (7, 2)]);
    let second = &files[1].0;
    assert_eq!((second.source.as_str(), second.arrived), ("trips", [hour(0, 59), hour(1, 1)]));
    assert_eq!(second.splits["b"].parents, ["a"]);
    assert_eq!((second.splits["a"].records, second.splits["a"].last), (2, Position::Sequence(place(3, None))));
}

/// More hours than may be open → files go, and no more than that are open.
#[test]
fn open_files_are_bounded() {
    let mut gathering = Gathering::new(String::new(), 1 << 20, 1);
    let mut rows = 0;
    for number in 0..200 {
        let split = SplitId::new("in", number);
        let records = [(place(number, None), number as i64 * STEP_MILLIS, vec![b'x'])];
        for complete in gathering.take(&batch("in", &split, &records)).expect("taken") {
            rows += complete.rows;
        }
        assert!(gathering.open.len() <= OPEN);
    }
    let open: usize = gathering.open.values().map(Body::bytes).sum();
    assert_eq!(gathering.bytes, open);
    rows += gathering.finish().expect("finished").iter().map(|complete| complete.rows).sum::<usize>();
    assert_eq!((rows, gathering.bytes), (200, 0));
}

/// Records of a source that counts them → they come back as numbers.
#[test]
fn numbers() {
    let mut gathering = Gathering::new(String::new(), 1 << 20, 1);
    let mut batch =
        batch("in", &SplitId::new("in", 0), &[(place(0, None), 5, vec![]), (place(0, None), 6, vec![0, 255])]);
    if let Some(lineage) = &mut batch.lineage {
        lineage.positions = Arc::new(Positions::Consecutive { first: 41 });
    }
    gathering.take(&batch).expect("taken");
    let complete = gathering.finish().expect("finished").remove(0);
    let found = read(complete.bytes).1;
    let known = |number, arrived, data| ("0".to_owned(), Position::Number(number), arrived, data);
    assert_eq!(found, [known(41, 5, vec![]), known(42, 6, vec![0, 255])]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes of however many splits, with clocks that go to and fro → the files in their order have the records of each
    /// split in theirs, each once, byte by byte.
    #[test]
    fn files_keep_the_order_of_splits(
        batches in proptest::collection::vec(
            (0usize..4, proptest::collection::vec((0i64..4 * STEP_MILLIS, any::<Option<u32>>(), proptest::collection::vec(any::<u8>(), 0..40)), 1..20)),
            1..30,
        ),
        limit in 200usize..20_000,
    ) {
        let mut gathering = Gathering::new(String::new(), limit, 3);
        let (mut given, mut complete): (BTreeMap<String, Vec<Known>>, _) = (BTreeMap::new(), Vec::new());
        for (number, (split, records)) in batches.into_iter().enumerate() {
            let split = SplitId::new("in", split);
            let records: Vec<_> = (0..).zip(records).map(|(nth, (arrived, sub, data))| (place(number as u64 * 100 + nth, sub), arrived, data)).collect();
            let known = records.iter().map(|(place, arrived, data)| (split.part().to_owned(), Position::Sequence(*place), *arrived, data.clone()));
            given.entry(split.part().to_owned()).or_default().extend(known);
            complete.extend(gathering.take(&batch("in", &split, &records)).expect("taken"));
        }
        complete.extend(gathering.finish().expect("finished"));
        let mut files: Vec<_> = complete.into_iter().map(|complete| read(complete.bytes)).collect();
        files.sort_by_key(|(footer, _)| footer.order);
        let mut found: BTreeMap<String, Vec<Known>> = BTreeMap::new();
        for (_, records) in files {
            records.into_iter().for_each(|record| found.entry(record.0.clone()).or_default().push(record));
        }
        prop_assert_eq!(found, given);
    }
}
