use super::*;
use wasmill_stream::plugin::{Accumulated, Finished, Fired, Merged, Processed, Timers, Transformed, Turn};
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;

/// Native logic: doubles rows into a side output, counts rows in windows, repeats rows and sets timers.
struct Native;

impl Transform for Native {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let last = batch.times.len() as u32 - 1;
        let twice = Rows { origins: Some(vec![0, 0]), ..Rows::default() };
        let rejects = vec![Reject::new(last, "the last")];
        let main = Rows { origins: Some((0..last).collect()), ..Rows::default() };
        Ok(Transformed { main, sides: vec![(1, twice)], rejects })
    }
}

impl Aggregate for Native {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], _batch: &View<'_>) -> Result<Accumulated> {
        let mut counts: Vec<usize> = accumulators.iter().map(<[u8]>::len).collect();
        groups.iter().for_each(|&group| counts[group as usize] += 1);
        let accumulators = counts.iter().map(|&count| vec![b'I'; count]).collect();
        Ok(Accumulated { accumulators, rejects: Vec::new() })
    }

    fn merge(&mut self, accumulators: &Binary, _groups: &[u32], _count: u32) -> Result<Merged> {
        Ok(accumulators.clone().into())
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        Ok(Finished { values: fired.accumulators.clone(), ..Finished::default() })
    }

    fn migrate(&mut self, from: u32, accumulators: &Binary) -> Result<Binary> {
        Ok(accumulators.iter().map(|old| [old, &vec![b'+'; from as usize]].concat()).collect())
    }
}

impl Process for Native {
    /// Emits each row as it is, and a row for each key whose timer fires; rows set a timer five later.
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let rows = turn.groups.len() as u32;
        let mut pending: Vec<(u32, i64)> = turn.timers.iter().collect();
        pending.extend(turn.groups.iter().zip(turn.batch.times).map(|(&group, &time)| (group, time + 5)));
        pending.sort_unstable();
        pending.dedup();
        let (due, later): (Vec<_>, Vec<_>) = pending.into_iter().partition(|(_, time)| *time <= turn.watermark);
        let mut timers = Timers::default();
        later.into_iter().for_each(|(group, time)| timers.push(group, time));
        let fired = due.iter().map(|(group, _)| rows + group);
        let times = turn.batch.times.iter().copied().chain(due.iter().map(|(_, time)| *time)).collect();
        let values = turn.batch.times.iter().map(|_| "row").chain(due.iter().map(|_| "timer")).collect();
        let main = Rows {
            origins: Some((0..rows).chain(fired).collect()),
            times: Some(times),
            keys: None,
            values: Some(values),
        };
        Ok(Processed { states: turn.states.clone(), timers, main, ..Processed::default() })
    }
}

fn stage(logic: Logic, needs: Needs) -> Stage {
    Stage { logic, reader: Reader::new(&needs.fields), needs, ledger: Arc::default() }
}

fn row(time: i64, key: &str, value: &str) -> Row {
    Row { time: Some(time), key: Some(key.as_bytes().to_vec()), value: Some(value.as_bytes().to_vec()) }
}

/// `way time key value` of each.
fn lines(outputs: Result<Vec<Output>>) -> Vec<String> {
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let line = |output: &Output| {
        let Row { time, key, value } = &output.row;
        let way = output.reason.clone().unwrap_or_else(|| output.way.title().replace('`', ""));
        format!("{way} {} {} {}", time.unwrap_or(-1), text(key), text(value))
    };
    outputs.expect("logic that does not fail").iter().map(line).collect()
}

/// Rows without a field that the plugin needs stay outside and are rejected; the plugin's numbers mean those that are
/// left.
#[test]
fn transform_sees_only_what_can_be_decoded() {
    let side = |name: &str| Side { name: name.to_owned(), writes_values: false };
    let fields = vec!["/a: s64".parse().expect("a field")];
    let needs = Needs { fields, sides: vec![side("one"), side("two")], ..Needs::default() };
    let mut stage = stage(Logic::Transform(Box::new(Native)), needs);
    let rows = [row(1, "x", "{}"), row(2, "y", "{\"a\":1}"), row(3, "z", "{\"a\":2}")];
    let outputs = lines(stage.rows(&rows.iter().collect::<Vec<_>>()));
    let expected = [
        "field `/a: s64` is missing 1 x {}",
        "out 2 y {\"a\":1}",
        "out.two 2 y {\"a\":1}",
        "out.two 2 y {\"a\":1}",
        "the last 3 z {\"a\":2}",
    ];
    assert_eq!(outputs, expected);
    assert!(lines(stage.rows(&[&rows[0]])).len() == 1 && lines(stage.watermark(9)).is_empty());
    assert!(stage.migrate(1, &[]).is_err());
}

/// Windows fire at watermarks, take late rows while that is allowed, and let go of them afterwards.
#[test]
fn windows_fire_at_watermarks() {
    let ms = Period::from_millis;
    let spec = WindowSpec::Tumbling { size: ms(10), offset: ms(0) };
    let mut stage = stage(Logic::Aggregate(Box::new(Native), Windows::new(spec, ms(5))), Needs::default());
    let rows = [row(1, "a", ""), row(9, "a", ""), row(10, "b", "")];
    assert!(lines(stage.rows(&rows.iter().collect::<Vec<_>>())).is_empty());
    assert_eq!(stage.waiting().as_deref(), Some("2 windows still wait for a watermark"));
    assert_eq!(lines(stage.watermark(10)), ["out 9 a II"]);
    assert!(lines(stage.rows(&[&rows[0]])).is_empty());
    assert_eq!(lines(stage.watermark(15)), ["out 9 a III"]);
    assert_eq!(lines(stage.rows(&[&rows[0]])), ["out.late 1 a "]);
    assert_eq!(lines(stage.watermark(i64::MAX)), ["out 19 b I"]);
    assert_eq!(stage.waiting(), None);
    assert_eq!(lines(stage.migrate(2, &[b"I".to_vec()])), ["migrated -1  I++"]);
}

/// In the order of event time, rows wait for the watermark, come in order, and are late behind it; as they arrive, they
/// come at once. Timers fire at watermarks either way.
#[test]
fn processes_keep_the_order() {
    let process = |order| {
        let (states, backlog) = (States::new(&Needs::default()), Backlog::default());
        stage(Logic::Process { logic: Box::new(Native), states, order, backlog }, Needs::default())
    };
    let rows = [row(8, "a", ""), row(2, "b", "")];
    let rows: Vec<_> = rows.iter().collect();
    let mut ordered = process(Order::EventTime);
    assert!(lines(ordered.rows(&rows)).is_empty());
    assert_eq!(ordered.waiting().as_deref(), Some("2 rows still wait for a watermark"));
    assert_eq!(lines(ordered.watermark(9)), ["out 2 b row", "out 8 a row", "out 7 b timer"]);
    assert_eq!(lines(ordered.rows(&[rows[1]])), ["out.late 2 b "]);
    assert_eq!(lines(ordered.watermark(i64::MAX)), ["out 13 a timer"]);

    let mut arriving = process(Order::Arrival);
    assert_eq!(lines(arriving.rows(&rows)), ["out 8 a row", "out 2 b row"]);
    assert_eq!(lines(arriving.watermark(7)), ["out 7 b timer"]);
}
