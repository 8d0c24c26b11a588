use super::*;
use wasmill_stream::units::Period;

/// A run of records with these times, from line `first` on.
fn run(first: u64, times: &[i64]) -> Run {
    Run { first, values: times.iter().map(|time| format!("{{\"t\":{time}}}")).collect() }
}

fn dealer(splits: usize, slice: Option<i64>, markers: Option<Markers>) -> Dealer {
    let time: FieldSpec = "/t: time(unix-ms)".parse().expect("a field");
    Dealer::new(splits, Some(&time), None, slice, markers)
}

/// `wait 10`, or `split@first: values`.
fn script(dealer: &mut Dealer, runs: Vec<Run>) -> Vec<String> {
    let mut cues = Vec::new();
    for run in runs {
        dealer.deal(run, &mut cues);
    }
    dealer.finish(&mut cues);
    let values = |values: Binary| values.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect::<Vec<_>>();
    let line = |cue| match cue {
        Cue::Wait(time) => format!("wait {time}"),
        Cue::Rows { split, first, values: rows } => format!("{split}@{first}: {}", values(rows).join(" ")),
    };
    cues.into_iter().map(line).collect()
}

/// One split counts by lines, several by what each got; the turn goes on from run to run.
#[test]
fn numbering() {
    let runs = || vec![run(1, &[1, 2, 3]), run(7, &[4])];
    let one = script(&mut dealer(1, None, None), runs());
    assert_eq!(one, [r#"0@1: {"t":1} {"t":2} {"t":3}"#, r#"0@7: {"t":4}"#]);
    let two = script(&mut dealer(2, None, None), runs());
    assert_eq!(two, [r#"0@1: {"t":1} {"t":3}"#, r#"1@1: {"t":2}"#, r#"1@2: {"t":4}"#]);
}

/// Records of one slice of event time are played together, late ones at once, unreadable ones with their neighbours, and
/// those before the third at once.
#[test]
fn slices() {
    let timed = run(1, &[100, 101, 102, 125, 126, 127, 90]).values;
    let values = [&b"broken"[..]].into_iter().chain(timed.iter()).chain([&b"{}"[..]]).collect();
    let script = script(&mut dealer(1, Some(10), None), vec![Run { first: 1, values }]);
    let expected = [
        r#"0@1: broken {"t":100} {"t":101}"#,
        "wait 100",
        r#"0@4: {"t":102} {"t":125} {"t":126}"#,
        "wait 120",
        r#"0@7: {"t":127} {"t":90} {}"#,
    ];
    assert_eq!(script, expected);
}

/// Records from the far future, the first of the stream and then two in a row → they neither make the stream wait nor push a
/// marker ahead of what follows.
#[test]
fn far_future_is_not_believed() {
    let times = [9_000_000, 0, 1, 2, 9_000_000, 9_000_000, 3, 4, 5];
    let markers = Markers::new(Period::from_millis(1000), Period::from_millis(0));
    let script = script(&mut dealer(1, Some(10), Some(markers)), vec![run(1, &times)]);
    let waits: Vec<_> = script.iter().filter(|line| line.starts_with("wait")).collect();
    assert_eq!(waits, ["wait 0"]);
    let marks: Vec<_> = script.iter().filter(|line| line.contains("watermark")).collect();
    assert_eq!(marks.len(), 2, "{script:?}");
    assert!(marks[0].contains("1970-01-01T00:00:00.000Z") && marks[1].contains("02:30:00.001Z"), "{script:?}");
}

/// The earliest time there is, three times → waits and markers stay in order, none of them from the other end of time.
#[test]
fn the_beginning_of_time() {
    let times = [i64::MIN, i64::MIN, i64::MIN, 0, 1, 2];
    let markers = Markers::new(Period::from_millis(1000), Period::from_millis(500));
    let script = script(&mut dealer(1, Some(1000), Some(markers)), vec![run(1, &times)]);
    let waits: Vec<_> = script.iter().filter(|line| line.starts_with("wait")).collect();
    assert_eq!(waits, ["wait -9223372036854775808", "wait 0"]);
    let marks: Vec<_> = script.iter().filter(|line| line.contains("watermark")).collect();
    assert_eq!(marks.len(), 3, "{script:?}");
    assert!(marks[0].contains("\"-292275055-05-16T16:47:04.192Z"), "{script:?}");
    assert!(
        marks[1].contains("1969-12-31T23:59:59.000Z") && marks[2].contains("1970-01-01T00:00:00.003Z"),
        "{script:?}"
    );
}

/// A marker goes into every split right behind the record that made it due, and is numbered like a record.
#[test]
fn markers_are_dealt_to_all() {
    let markers = Markers::new(Period::from_millis(1000), Period::from_millis(500));
    let script = script(&mut dealer(2, None, Some(markers)), vec![run(1, &[1500, 1600, 2500, 2500, 2500, 2600])]);
    let marker = |time| format!("{{\"type\":\"watermark\",\"watermark\":\"1970-01-01T00:00:{time}Z\"}}");
    let expected = [
        r#"0@1: {"t":1500} {"t":2500}"#.to_owned(),
        r#"1@1: {"t":1600}"#.to_owned(),
        format!("0@3: {}", marker("01.000")),
        format!("1@2: {}", marker("01.000")),
        r#"0@4: {"t":2500}"#.to_owned(),
        r#"1@3: {"t":2500}"#.to_owned(),
        format!("0@5: {}", marker("02.000")),
        format!("1@4: {}", marker("02.000")),
        r#"1@5: {"t":2600}"#.to_owned(),
        format!("0@6: {}", marker("02.601")),
        format!("1@6: {}", marker("02.601")),
    ];
    assert_eq!(script, expected);
}

/// The hash of the key chooses the split, whatever its type; records without a key go to the first.
#[test]
fn keys_choose_splits() {
    for kind in ["string", "s64"] {
        let key: FieldSpec = format!("/k: {kind}").parse().expect("a field");
        let mut dealer = Dealer::new(16, None, Some(&key), None, None);
        let quote = if kind == "string" { "\"" } else { "" };
        let keyed = (0..64).map(|n| format!("{{\"k\":{quote}{}{quote}}}", n % 8));
        let run = Run { first: 1, values: keyed.chain(["{}".to_owned()]).collect() };
        let mut cues = Vec::new();
        dealer.deal(run, &mut cues);
        let sizes: Vec<_> = cues
            .iter()
            .map(|cue| match cue {
                Cue::Rows { split, values, .. } => (*split, values.len()),
                Cue::Wait(_) => panic!("nothing to wait for"),
            })
            .collect();
        assert_eq!(sizes.iter().map(|(_, rows)| rows).sum::<usize>(), 65);
        assert!(sizes.len() > 2 && sizes[0].0 == 0 && sizes[0].1 % 8 == 1, "{sizes:?}");
        assert!(sizes[1..].iter().all(|(_, rows)| rows % 8 == 0), "{sizes:?}");
    }
}
