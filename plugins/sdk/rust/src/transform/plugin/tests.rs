use super::*;
use crate::{Binary, Cells, Column, Emit, EventTime, Fields, Json, Key, Keyed, Raw, Reject, Time, emit, keyed};

fn floats(cells: Vec<f64>) -> Column {
    Column { cells: Cells::F64s(cells), missing: Vec::new() }
}

fn batch(rows: usize, fields: Vec<Column>) -> Batch {
    Batch { times: (0..rows as i64).collect(), keys: None, values: None, fields }
}

fn function<R: Row + 'static, O: Output>(
    function: impl Fn(R) -> O + for<'row> Function<'row, R> + 'static,
) -> Box<dyn Plugin> {
    of_function("{}", function).expect("no settings")
}

#[derive(Fields)]
struct Reading<'a> {
    #[field("/sensor/name|/name")]
    name: &'a str,
    level: f64,
    #[field("/at", time = "unix-s")]
    at: Option<Time>,
    r#type: Option<String>,
}

fn readings() -> Batch {
    let names = Cells::Strings(["a", "bé", "c"].into_iter().collect());
    let times = Column { cells: Cells::S64s(vec![0, 20, 0]), missing: vec![0, 2] };
    let types = Column { cells: Cells::Strings(["x", "", ""].into_iter().collect()), missing: vec![1] };
    batch(3, vec![Column { cells: names, missing: Vec::new() }, floats(vec![1.0, 2.0, 3.0]), times, types])
}

/// Fields are declared as they are written, and nothing else is asked of the host.
#[test]
fn fields_are_declared() {
    fn keep(_: Reading<'_>) {}
    let needs = function(keep).needs();
    let fields = ["/sensor/name|/name: string", "/level: f64", "/at: time(unix-s)?", "/type: string?"];
    assert_eq!(needs.fields, fields);
    assert!(!needs.reads_values && !needs.writes_values);
}

/// Borrowed text, missing cells and numbers reach the function row by row.
#[test]
fn cells_are_read_by_row() {
    fn check(reading: Reading<'_>) -> Keyed<String> {
        let Reading { name, level, at, r#type } = reading;
        keyed(format!("{name} {level} {:?} {:?}", at.map(|at| at.0), r#type))
    }
    let keys = function(check).transform(readings()).expect("good columns").keys;
    let expected = [r#"a 1 None Some("x")"#, r#"bé 2 Some(20) None"#, r#"c 3 None Some("")"#];
    assert_eq!(keys, Some(expected.into_iter().collect()));
}

/// What is returned may borrow from the batch as well: such a key is copied once, into the output column.
#[test]
fn outputs_may_borrow() {
    fn by_name(reading: Reading<'_>) -> Option<Keyed<&str>> {
        (reading.level < 3.0).then_some(keyed(reading.name))
    }
    let columns = function(by_name).transform(readings()).expect("good columns");
    assert_eq!((columns.origins, columns.keys), (Some(vec![0, 1]), Some(["a", "bé"].into_iter().collect())));
}

/// A column of another type than declared fails the call and is named.
#[test]
fn wrong_columns_are_named() {
    fn keep(_: Reading<'_>) {}
    let error = function(keep).transform(batch(1, vec![floats(vec![1.0])])).expect_err("text was declared");
    assert!(error.contains("/sensor/name"), "{error}");
}

#[derive(Fields)]
struct Level {
    level: f64,
}

/// Without a column that is set, and with every row kept, there is nothing to send back.
#[test]
fn unchanged_rows_cost_nothing() {
    let all = function(|_: ()| true).transform(batch(3, Vec::new()));
    assert_eq!(all, Ok(Columns::default()));
    let none = function(|_: ()| false).transform(batch(3, Vec::new()));
    assert_eq!(none, Ok(Columns { origins: Some(Vec::new()), ..Columns::default() }));
}

/// A filter that keys: origins name the rows that stay, keys are theirs.
#[test]
fn rows_are_dropped_and_keyed() {
    let plugin = function(|row: Level| (row.level > 1.0).then(|| keyed((row.level as i64, "up|down"))));
    let columns = plugin.transform(batch(3, vec![floats(vec![3.0, 0.5, 2.0])])).expect("good columns");
    assert_eq!(columns.origins, Some(vec![0, 2]));
    assert_eq!(columns.keys, Some(["3|up\\|down", "2|up\\|down"].into_iter().collect()));
    assert_eq!((columns.times, columns.values), (None, None));
}

/// Several rows of one, with new times and values, keep their order; a refused row leaves nothing behind.
#[test]
fn several_rows_and_refusals() {
    let plugin = function(|(Json(numbers), EventTime(at)): (Json<Vec<i64>>, EventTime)| {
        numbers
            .into_iter()
            .map(|number| check(number).map(|n| emit().key(n).time(Time(at.0 + n)).json(n)))
            .collect::<Vec<_>>()
    });
    assert!(plugin.needs().reads_values && plugin.needs().writes_values);
    let values = ["[1,2]", "[3,-1]", "[", "[]", "[4]"].into_iter().collect();
    let columns = plugin.transform(Batch { values: Some(values), ..batch(5, Vec::new()) }).expect("good columns");
    assert_eq!(columns.origins, Some(vec![0, 0, 4]));
    assert_eq!(columns.times, Some(vec![1, 2, 8]));
    assert_eq!(columns.values, Some(["1", "2", "4"].into_iter().collect()));
    assert_eq!(columns.keys, columns.values);
    let rejects: Vec<_> = columns.rejects.iter().map(|reject| (reject.row, reject.reason.as_str())).collect();
    assert_eq!(rejects[0], (1, "-1 is negative"));
    assert_eq!((rejects[1].0, rejects.len()), (2, 2));
    assert!(rejects[1].1.starts_with("EOF while parsing"), "{}", rejects[1].1);
}

fn check(number: i64) -> Result<i64, Reject> {
    if number < 0 { Err(Reject::new(format!("{number} is negative"))) } else { Ok(number) }
}

/// As many rows as came, but not the same ones: origins say so.
#[test]
fn one_dropped_and_one_doubled() {
    let plugin = function(|row: Level| vec![emit(); row.level as usize]);
    let columns = plugin.transform(batch(3, vec![floats(vec![1.0, 0.0, 2.0])])).expect("good columns");
    assert_eq!(columns.origins, Some(vec![0, 2, 2]));
}

/// A value given as bytes is taken as it is.
#[test]
fn bytes_are_values() {
    fn shout(Raw(value): Raw<'_>) -> Emit<crate::emit::Same, crate::emit::Same, crate::emit::Bytes<Vec<u8>>> {
        emit().bytes(value.to_ascii_uppercase())
    }
    let values: Binary = ["a", "bc"].into_iter().collect();
    let columns = function(shout).transform(Batch { values: Some(values), ..batch(2, Vec::new()) });
    assert_eq!(columns.expect("good columns").values, Some(["A", "BC"].into_iter().collect()));
}

/// A step that wants keys says so when there are none.
#[test]
fn missing_keys_are_explained() {
    fn keep(key: Key<'_>) -> bool {
        key.bytes() == b"a"
    }
    let plugin = function(keep);
    assert!(plugin.transform(batch(1, Vec::new())).expect_err("no keys").contains("no keys"));
    let keyed = Batch { keys: Some(["b", "a"].into_iter().collect()), ..batch(2, Vec::new()) };
    assert_eq!(plugin.transform(keyed).expect("keys").origins, Some(vec![1]));
}

#[derive(serde::Deserialize)]
struct Above {
    minimum: f64,
}

impl Transform for Above {
    type Row = Level;
    type Output = bool;

    fn transform(&self, row: Level) -> bool {
        row.level > self.minimum
    }
}

/// A function has no settings, and says so when it is given some.
#[test]
fn functions_refuse_settings() {
    let error = of_function(r#"{"minimum": 2}"#, |_: ()| true).err();
    assert_eq!(error.as_deref(), Some("setting `minimum` is not known to this plugin"));
}

/// The calls of the host in their order: nothing works before `configure`, and its settings reach the rows.
#[test]
fn settings_reach_the_rows() {
    let rows = || batch(2, vec![floats(vec![1.0, 3.0])]);
    assert!(call(rows()).expect_err("not configured").contains("before configure"));
    assert!(configure("{}", of_rows::<Above>).expect_err("a setting is missing").contains("`minimum`"));
    configure(r#"{"minimum": 2}"#, of_rows::<Above>).expect("good settings");
    assert_eq!(call(rows()).expect("good columns").origins, Some(vec![1]));
}
