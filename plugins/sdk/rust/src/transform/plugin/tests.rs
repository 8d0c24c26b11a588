use super::*;
use crate::{
    Binary, Cells, Column, Emit, EventTime, Fault, Fields, Json, Key, Keyed, Outputs, Raw, Reject, Rows, Settings,
    SideOutput, SideRows, Time, emit, keyed,
};

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
    let needs = function(keep).needs().expect("no settings");
    let fields = ["/sensor/name|/name: string", "/level: f64", "/at: time(unix-s)?", "/type: string?"];
    assert_eq!(needs.fields, fields);
    assert!(!needs.reads_values && !needs.writes_values && needs.side_outputs.is_empty());
}

/// Borrowed text, missing cells and numbers reach the function row by row.
#[test]
fn cells_are_read_by_row() {
    fn check(reading: Reading<'_>) -> Keyed<String> {
        let Reading { name, level, at, r#type } = reading;
        keyed(format!("{name} {level} {:?} {:?}", at.map(|at| at.0), r#type))
    }
    let keys = function(check).transform(readings()).expect("good columns").main.keys;
    let expected = [r#"a 1 None Some("x")"#, r#"bé 2 Some(20) None"#, r#"c 3 None Some("")"#];
    assert_eq!(keys, Some(expected.into_iter().collect()));
}

/// What is returned may borrow from the batch as well: such a key is copied once, into the output column.
#[test]
fn outputs_may_borrow() {
    fn by_name(reading: Reading<'_>) -> Option<Keyed<&str>> {
        (reading.level < 3.0).then_some(keyed(reading.name))
    }
    let columns = function(by_name).transform(readings()).expect("good columns").main;
    assert_eq!((columns.origins, columns.keys), (Some(vec![0, 1]), Some(["a", "bé"].into_iter().collect())));
}

/// A column of another type than declared fails the call and is named.
#[test]
fn wrong_columns_are_named() {
    fn keep(_: Reading<'_>) {}
    let error = function(keep).transform(batch(1, vec![floats(vec![1.0])])).expect_err("text was declared");
    assert_eq!(error, Failure::fatal("the host sent no column of string for field /sensor/name|/name"));
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
    assert_eq!(none, Ok(Rows { origins: Some(Vec::new()), ..Rows::default() }.into()));
}

/// A filter that keys: origins name the rows that stay, keys are theirs.
#[test]
fn rows_are_dropped_and_keyed() {
    let plugin = function(|row: Level| (row.level > 1.0).then(|| keyed((row.level as i64, "up|down"))));
    let columns = plugin.transform(batch(3, vec![floats(vec![3.0, 0.5, 2.0])])).expect("good columns").main;
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
    assert!(plugin.needs().is_ok_and(|needs| needs.reads_values && needs.writes_values));
    let values = ["[1,2]", "[3,-1]", "[", "[]", "[4]"].into_iter().collect();
    let columns = plugin.transform(Batch { values: Some(values), ..batch(5, Vec::new()) }).expect("good columns");
    let Columns { main, rejects, .. } = columns;
    assert_eq!(main.origins, Some(vec![0, 0, 4]));
    assert_eq!(main.times, Some(vec![1, 2, 8]));
    assert_eq!(main.values, Some(["1", "2", "4"].into_iter().collect()));
    assert_eq!(main.keys, main.values);
    let rejects: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.reason.as_str())).collect();
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
    assert_eq!(columns.main.origins, Some(vec![0, 2, 2]));
}

/// A value given as bytes is taken as it is.
#[test]
fn bytes_are_values() {
    fn shout(Raw(value): Raw<'_>) -> Emit<crate::emit::Same, crate::emit::Same, crate::emit::Bytes<Vec<u8>>> {
        emit().bytes(value.to_ascii_uppercase())
    }
    let values: Binary = ["a", "bc"].into_iter().collect();
    let columns = function(shout).transform(Batch { values: Some(values), ..batch(2, Vec::new()) });
    assert_eq!(columns.expect("good columns").main.values, Some(["A", "BC"].into_iter().collect()));
}

/// A step that wants keys says so when there are none.
#[test]
fn missing_keys_are_explained() {
    fn keep(key: Key<'_>) -> bool {
        key.bytes() == b"a"
    }
    let plugin = function(keep);
    let error = plugin.transform(batch(1, Vec::new())).expect_err("no keys");
    assert!(matches!(&error, Failure::Fatal(reason) if reason.contains("no keys")), "{error:?}");
    let keyed = Batch { keys: Some(["b", "a"].into_iter().collect()), ..batch(2, Vec::new()) };
    assert_eq!(plugin.transform(keyed).expect("keys").main.origins, Some(vec![1]));
}

#[derive(Settings)]
struct Above {
    minimum: f64,
    field: Option<crate::settings::Pointer>,
}

impl Transform for Above {
    type Row = Level;
    type Output = bool;

    fn transform(&self, row: Level) -> bool {
        row.level > self.minimum
    }

    fn pointer<'a>(&'a self, declared: &'a str) -> &'a str {
        self.field.as_ref().map_or(declared, |field| &field.0)
    }
}

/// A function has no settings, and says so when it is given some.
#[test]
fn functions_refuse_settings() {
    let error = of_function(r#"{"minimum": 2}"#, |_: ()| true).err();
    assert_eq!(error.as_deref(), Some("unknown setting \"minimum\", expected none"));
}

/// The calls of the host in their order: nothing works before `configure`, and its settings reach the rows.
#[test]
fn settings_reach_the_rows() {
    let rows = || batch(2, vec![floats(vec![1.0, 3.0])]);
    let early = call(rows()).expect_err("not configured");
    assert!(matches!(&early, wire::Failure::Fatal(reason) if reason.contains("before configure")), "{early:?}");
    assert!(configure("{}", of_rows::<Above>).expect_err("a setting is missing").contains("\"minimum\""));
    configure(r#"{"minimum": 2}"#, of_rows::<Above>).expect("good settings");
    assert_eq!(call(rows()).expect("good columns").main.origins, Some(vec![1]));
}

/// A setting may say where a field is; else it is where it was declared.
#[test]
fn settings_choose_fields() {
    let fields = |settings| configure(settings, of_rows::<Above>).expect("good settings").fields;
    assert_eq!(fields(r#"{"minimum": 2}"#), ["/level: f64"]);
    assert_eq!(fields(r#"{"minimum": 2, "field": "/a/b"}"#), ["/a/b: f64"]);
}

#[derive(Outputs)]
enum Sorted<'a> {
    Unnamed,
    #[output(main)]
    Known(Keyed<&'a str>),
    #[output("far-out")]
    Wild(Vec<Json<Result<f64, Unwritable>>>),
}

/// A value that JSON cannot hold.
#[derive(Clone, Copy)]
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("unwritable"))
    }
}

fn sort(reading: Reading<'_>) -> Option<Sorted<'_>> {
    match (reading.name, reading.level) {
        ("", _) => Some(Sorted::Unnamed),
        (_, level) if level > 8.0 => Some(Sorted::Wild(vec![Json(Ok(level)), Json(Ok(-level))])),
        (_, level) if level > 7.0 => Some(Sorted::Wild(vec![Json(Ok(level)), Json(Err(Unwritable))])),
        (_, level) if level < 0.0 => None,
        (name, _) => Some(Sorted::Known(keyed(name))),
    }
}

fn sorted(rows: &[(&str, f64)]) -> Columns {
    let text = |cells: Binary, missing| Column { cells: Cells::Strings(cells), missing };
    let names = rows.iter().map(|row| row.0).collect();
    let none: Vec<u32> = (0..rows.len() as u32).collect();
    let times = Column { cells: Cells::S64s(vec![0; rows.len()]), missing: none.clone() };
    let levels = floats(rows.iter().map(|row| row.1).collect());
    let types = text(rows.iter().map(|_| "").collect(), none);
    function(sort)
        .transform(batch(rows.len(), vec![text(names, Vec::new()), levels, times, types]))
        .expect("good columns")
}

/// Side outputs are declared by the names of their variants, each with its own columns.
#[test]
fn side_outputs_are_declared() {
    let side = |name: &str, writes_values| SideOutput { name: name.to_owned(), writes_values };
    let needs = function(sort).needs().expect("no settings");
    assert_eq!(needs.side_outputs, [side("unnamed", false), side("far-out", true)]);
    assert!(!needs.writes_values);
}

/// Rows go where their variant says, in order; an output without rows is left out; a refused row is taken back everywhere.
#[test]
fn rows_go_to_side_outputs() {
    let columns = sorted(&[("a", 1.0), ("", 2.0), ("b", 9.0), ("c", 7.5), ("", 3.0), ("d", -1.0)]);
    assert_eq!(columns.main.origins, Some(vec![0]));
    assert_eq!(columns.main.keys, Some(["a"].into_iter().collect()));
    let unnamed = Rows { origins: Some(vec![1, 4]), ..Rows::default() };
    let wild = Some([r#"{"Ok":9.0}"#, r#"{"Ok":-9.0}"#].into_iter().collect());
    let wild = Rows { origins: Some(vec![2, 2]), values: wild, ..Rows::default() };
    assert_eq!(columns.sides, [SideRows { side: 0, rows: unnamed }, SideRows { side: 1, rows: wild }]);
    assert_eq!(columns.rejects, [Reject { row: 3, reason: "unwritable".into() }]);

    let columns = sorted(&[("", 1.0), ("", 2.0)]);
    assert_eq!(columns.main.origins, Some(Vec::new()));
    assert_eq!(columns.sides, [SideRows { side: 0, rows: Rows::default() }]);
}

/// An error of any type refuses its row; a failure ends the call, in the words of the first one.
#[test]
fn rejects_and_failures() {
    fn text(row: Level) -> Result<(), String> {
        if row.level > 1.0 { Ok(()) } else { Err("low".into()) }
    }
    fn both(row: Level) -> Result<(), Fault> {
        match row.level as i64 {
            0 => Err("low")?,
            1 => Err(Failure::retry("later"))?,
            2 => Err(Failure::fatal("never"))?,
            _ => "x".parse::<i64>().map(drop)?,
        }
        Ok(())
    }
    let of = |levels: &[f64]| batch(levels.len(), vec![floats(levels.to_vec())]);
    let low = |row| Reject { row, reason: "low".into() };
    assert_eq!(function(text).transform(of(&[1.0, 2.0])).expect("a row is refused").rejects, [low(0)]);
    let parse = Reject { row: 1, reason: "invalid digit found in string".into() };
    assert_eq!(function(both).transform(of(&[0.0, 9.0])).expect("rows are refused").rejects, [low(0), parse]);
    assert_eq!(function(both).transform(of(&[0.0, 1.0, 2.0])), Err(Failure::retry("later")));
    assert_eq!(function(both).transform(of(&[2.0, 1.0])), Err(Failure::fatal("never")));
}

/// A transform has no state to migrate, and says so.
#[test]
fn no_state() {
    assert_eq!(migrate(), Err(wire::Failure::Fatal("no state".into())));
}
