use super::super::pack::Aggregate;
use super::*;

const ROWS: usize = 10_000;

fn place(text: &str) -> ExtendedSequence {
    ExtendedSequence::parse(text).expect(text)
}

fn chunks<'a>(records: &[Vec<u8>], hashes: Option<&'a Hashes>, after: Option<&str>) -> Chunks<'a> {
    let numbers = (7..).map(|number: u64| place(&number.to_string()).sequence);
    let may_have_aggregates = records.iter().any(|record| aggregate::has_magic(record));
    let values = records.iter().collect();
    let sequences = numbers.take(records.len()).collect();
    // Each arrived at its number.
    let arrivals = Some((7..).take(records.len()).collect());
    Chunks::new(Records { values, sequences, arrivals, may_have_aggregates }, ROWS, hashes, after.map(place))
}

/// All rows as `place value`.
fn rows(chunks: &mut Chunks<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for part in chunks {
        let row = |row| format!("{} {}", part.positions.text(row), String::from_utf8_lossy(part.values.get(row)));
        rows.extend((0..part.values.len()).map(row));
        assert_eq!(part.positions.text(part.values.len() - 1), part.last.to_string());
        assert_eq!(part.positions.get(part.values.len()), None, "as many positions as rows");
        let numbers = (0..part.values.len()).map(|row| part.positions.text(row));
        let numbers = numbers.map(|text| text.split(':').next().and_then(|number| number.parse::<i64>().ok()));
        assert_eq!(numbers.collect::<Option<Vec<_>>>(), part.arrivals, "each has the time of its record");
    }
    rows
}

fn mixed() -> Vec<Vec<u8>> {
    let mut broken = Aggregate::of("k", None, ["lost"]).pack();
    broken.pop();
    vec![b"a".to_vec(), Aggregate::of("k", None, ["b", "c", ""]).pack(), b"d".to_vec(), broken]
}

/// Plain records, aggregates and what only looks like one, in one page → rows in order, each with its place.
#[test]
fn a_mixed_page() {
    let mut chunks = chunks(&mixed(), None, None);
    let found = rows(&mut chunks);
    assert_eq!(found[..5], ["7 a", "8:0 b", "8:1 c", "8:2 ", "9 d"]);
    assert!(found.len() == 6 && found[5].starts_with("10 \u{fffd}"), "{found:?}");
    assert_eq!(chunks.elsewhere(), 0);
}

/// A page without aggregates → one part with the positions that it had before there were any.
#[test]
fn a_plain_page() {
    let records = ["a", "b", "c"].map(|text| text.as_bytes().to_vec());
    let numbers = |part: &Part| matches!(&part.positions, Positions::Sequences(all) if all.len() == part.values.len());
    let parts: Vec<_> = chunks(&records, None, None).collect();
    assert!(parts.len() == 1 && numbers(&parts[0]));
    assert_eq!(rows(&mut chunks(&records, None, Some("7"))), ["8 b", "9 c"]);
    assert_eq!(rows(&mut chunks(&records[..1], None, Some("7"))), [""; 0]);
}

/// Going on behind a user record → the rest of its aggregate, and what follows. One that an earlier version has taken as a
/// whole is not read again.
#[test]
fn going_on_inside_an_aggregate() {
    let records = &mixed()[1..3];
    let after = |place| rows(&mut chunks(records, None, Some(place)));
    assert_eq!(after("7:0"), ["7:1 c", "7:2 ", "8 d"]);
    assert_eq!(after("7:1"), ["7:2 ", "8 d"]);
    assert_eq!(after("7:2"), ["8 d"]);
    assert_eq!(after("7"), ["8 d"]);
}

/// User records of other shards → left out and counted; those behind them keep their places, also when reading goes on
/// among them.
#[test]
fn user_records_of_other_shards() {
    let mut packed = Aggregate::of("k", Some(5), ["a", "b", "c", "d"]);
    packed.hash_keys.push("9".to_owned());
    [0, 2].iter().for_each(|&other| packed.records[other].hash_key = Some(1));
    let records = [packed.pack(), Aggregate::of("k", Some(9), ["x"]).pack()];
    let shard = 0..=8;
    let mut all = chunks(&records, Some(&shard), None);
    assert_eq!(rows(&mut all), ["7:1 b", "7:3 d"]);
    assert_eq!(all.elsewhere(), 3);
    assert_eq!(rows(&mut chunks(&records, Some(&shard), Some("7:1"))), ["7:3 d"]);
}

/// An aggregate of many small user records → parts of a bounded number of rows, which together are all of it, and positions
/// that tell what they take.
#[test]
fn many_user_records_come_in_parts() {
    let count = 2 * ROWS + 5;
    let records = [Aggregate::of("k", None, vec![""; count]).pack(), b"last".to_vec()];
    let parts: Vec<_> = chunks(&records, None, None).collect();
    assert_eq!(parts.iter().map(|part| part.values.len()).collect::<Vec<_>>(), [ROWS, ROWS, 6]);
    assert_eq!(parts[1].last, place(&format!("7:{}", 2 * ROWS - 1)));
    assert_eq!(parts[2].last, place("8"));
    assert!(parts[0].positions.bytes() >= ROWS * 32 && parts[0].values.total_bytes() == 0);
}
