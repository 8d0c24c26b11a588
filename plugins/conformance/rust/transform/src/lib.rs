//! The transform that every language has, see `plugins/conformance/README.md`: filter, refuse, split off, key, move in time,
//! and rewrite.

use serde::Serialize;
use wasmill::{Emit, EventTime, Fault, Fields, Json, Outputs, Settings, Time, Transform, emit};

#[derive(Settings)]
struct Conformance {
    #[setting(default = 2, minimum = 1)]
    factor: i64,
}

#[derive(Fields)]
struct Payment {
    id: i64,
    name: Option<String>,
    amount: f64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Cents {
    id: i64,
    name: String,
    cents: i64,
}

#[derive(Debug, PartialEq, Outputs)]
enum Paid {
    #[output(main)]
    Named(Vec<Emit<String, Time, Json<Cents>>>),
    Nameless,
}

impl Transform for Conformance {
    type Row = (Payment, EventTime);
    type Output = Result<Option<Paid>, Fault>;

    fn transform(&self, (Payment { id, name, amount }, EventTime(time)): (Payment, EventTime)) -> Self::Output {
        wasmill::metrics::count("rows", 1);
        if id % 7 == 0 {
            return Ok(None);
        }
        if amount < 0.0 {
            Err("negative amount")?;
        }
        let Some(name) = name else { return Ok(Some(Paid::Nameless)) };
        let cents = (amount * self.factor as f64 * 100.0 + 0.5).floor() as i64;
        let time = Time(time.0 + id.rem_euclid(1_000));
        let row = |id| emit().key(name.clone()).time(time).json(Cents { id, name: name.clone(), cents });
        Ok(Some(Paid::Named(if id % 5 == 0 { vec![row(id), row(-id)] } else { vec![row(id)] })))
    }
}

wasmill::transform!(type Conformance);

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(id: i64, name: Option<&str>, amount: f64) -> Result<Option<Paid>, Fault> {
        let row = Payment { id, name: name.map(str::to_owned), amount };
        Conformance { factor: 3 }.transform((row, EventTime(Time(10_000))))
    }

    fn row(id: i64, millis: i64, cents: i64) -> Emit<String, Time, Json<Cents>> {
        emit().key("é".to_owned()).time(Time(millis)).json(Cents { id, name: "é".into(), cents })
    }

    /// The rules, tried in their order: a multiple of seven is dropped whatever else, a negative amount is refused.
    #[test]
    fn rules() {
        assert_eq!(paid(-14, None, -1.0), Ok(None));
        assert_eq!(paid(5, None, -0.01), Err("negative amount".into()));
        assert_eq!(paid(5, None, -0.0), Ok(Some(Paid::Nameless)));
        assert_eq!(paid(1_002, Some("é"), 0.125), Ok(Some(Paid::Named(vec![row(1_002, 10_002, 38)]))));
        assert_eq!(paid(-1, Some("é"), 0.0), Ok(Some(Paid::Named(vec![row(-1, 10_999, 0)]))));
        let twice = vec![row(-10, 10_990, 300), row(10, 10_990, 300)];
        assert_eq!(paid(-10, Some("é"), 1.0), Ok(Some(Paid::Named(twice))));
    }

    /// The setting is checked, and another one refused in these words.
    #[test]
    fn settings() {
        let parse = |text| wasmill::settings::parse::<Conformance>(text).map(|plugin| plugin.factor);
        assert_eq!((parse("{}"), parse(r#"{"factor":5}"#)), (Ok(2), Ok(5)));
        assert_eq!(parse(r#"{"x":5}"#), Err(r#"unknown setting "x", expected factor"#.into()));
        assert!(parse(r#"{"factor":0}"#).is_err());
    }
}
