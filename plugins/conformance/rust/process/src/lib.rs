//! The process that every language has, see `plugins/conformance/README.md`.

use serde::Serialize;
use wasmill::{Accumulator, Context, Failure, Fault, Fields, Json, Outputs, Process, Settings, Time};

const MINUTE: i64 = 60_000;

#[derive(Settings)]
struct Conformance {
    #[setting(default = 2, minimum = 1)]
    factor: i64,
}

#[derive(Fields)]
struct Cents {
    id: i64,
    cents: i64,
}

#[derive(Debug, Default, PartialEq, Accumulator)]
struct Sum {
    count: i64,
    sum: i64,
    last: Time,
}

#[derive(Outputs)]
enum Told {
    #[output(main)]
    High(Json<High>),
    Idle(Json<Idle>),
}

#[derive(Serialize)]
struct High {
    key: String,
    id: i64,
    cents: i64,
    count: i64,
}

#[derive(Serialize)]
struct Idle {
    key: String,
    count: i64,
    sum: i64,
    at: i64,
}

impl Process for Conformance {
    type Row = Cents;
    type State = Sum;
    type Output = Told;

    fn check(&self, row: &Cents, _state: Option<&Sum>) -> Result<(), Fault> {
        wasmill::metrics::count("rows", 1);
        if row.cents == 13 { Err("unlucky")? } else { Ok(()) }
    }

    fn row(&self, state: &mut Option<Sum>, Cents { id, cents }: Cents, context: &mut Context<'_, Told>) {
        let Sum { count, sum, last } = state.get_or_insert_default();
        *count += 1;
        *sum += cents * self.factor;
        *last = context.time();
        context.set_timer(Time(last.0.div_euclid(MINUTE) * MINUTE + 2 * MINUTE));
        if cents * *count > *sum + 100 * self.factor * *count {
            let key = context.key().text().into_owned();
            context.emit(Told::High(Json(High { key, id, cents, count: *count })));
        }
    }

    fn timer(&self, state: &mut Option<Sum>, context: &mut Context<'_, Told>) {
        let Time(at) = context.time();
        if let Some(Sum { count, sum, .. }) = state.take_if(|state| state.last.0 + MINUTE < at) {
            let key = context.key().text().into_owned();
            context.emit(Told::Idle(Json(Idle { key, count, sum, at })));
        }
    }

    fn migrate(&self, from_version: u32, state: &[u8]) -> Result<Sum, Failure> {
        #[derive(Accumulator, Default)]
        struct WithoutLast {
            count: i64,
            sum: i64,
        }
        if from_version != 0 {
            return Err(Failure::fatal(format!("unknown version {from_version}")));
        }
        let WithoutLast { count, sum } = WithoutLast::decode(state)?;
        Ok(Sum { count, sum, last: Time(0) })
    }
}

wasmill::process!(Conformance);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill::process::{Emitted, Trial};

    fn trial() -> Trial<Conformance> {
        Trial::new(Conformance { factor: 1 })
    }

    fn row(trial: &mut Trial<Conformance>, time: i64, cents: i64) -> Result<Vec<String>, Fault> {
        let emitted = trial.row("é", Time(time), Cents { id: 5, cents })?;
        Ok(emitted.iter().map(Emitted::to_string).collect())
    }

    /// What is far above the mean is told at the time of the row, and counts.
    #[test]
    fn high_values() {
        let mut trial = trial();
        assert_eq!(row(&mut trial, 10, 100), Ok(vec![]));
        assert_eq!(row(&mut trial, 20, 300), Ok(vec![]), "600 is no more than 400 + 200");
        let high = r#"main é 1970-01-01T00:00:00.030Z {"key":"é","id":5,"cents":351,"count":3}"#;
        assert_eq!(row(&mut trial, 30, 351), Ok(vec![high.into()]), "1053 is more than 751 + 300");
        assert_eq!(trial.state("é"), Some(&Sum { count: 3, sum: 751, last: Time(30) }));
    }

    /// An unlucky row is refused and leaves no trace, not even a timer.
    #[test]
    fn unlucky_rows() {
        let mut trial = trial();
        assert_eq!(row(&mut trial, 10, 13), Err("unlucky".into()));
        assert!(trial.state("é").is_none() && trial.timers("é").is_empty());
    }

    /// A timer stands at the end of the next minute but one, and tells of keys silent for more than a minute.
    #[test]
    fn idle_keys() {
        let mut trial = trial();
        assert_eq!(row(&mut trial, -1, 5), Ok(vec![]));
        assert_eq!(row(&mut trial, 0, 5), Ok(vec![]));
        assert_eq!(row(&mut trial, MINUTE, 5), Ok(vec![]));
        assert_eq!(trial.timers("é"), [2 * MINUTE, 3 * MINUTE].map(Time), "that at one minute has fired");
        assert_eq!(trial.watermark(Time(2 * MINUTE)), Ok(vec![]), "a minute is not more than one");
        let told = trial.watermark(Time(9 * MINUTE)).expect("nothing fails");
        let idle = r#"idle é 1970-01-01T00:03:00.000Z {"key":"é","count":3,"sum":15,"at":180000}"#;
        assert_eq!(told.iter().map(Emitted::to_string).collect::<Vec<_>>(), [idle]);
        assert!(trial.state("é").is_none() && trial.timers("é").is_empty());
    }

    /// A timer that finds its key forgotten does nothing.
    #[test]
    fn forgotten_keys() {
        let mut trial = trial();
        assert_eq!(row(&mut trial, 5 * MINUTE, 5), Ok(vec![]));
        assert_eq!(row(&mut trial, MINUTE, 5), Ok(vec![]), "a late one");
        let told = trial.watermark(Time(9 * MINUTE)).expect("nothing fails");
        assert_eq!(told.iter().map(|told| told.time).collect::<Vec<_>>(), [Time(3 * MINUTE)]);
        assert!(trial.state("é").is_none());
    }

    /// Version 0 did not keep the time; another version is not known.
    #[test]
    fn versions() {
        let old = [3, 299].map(i64::to_le_bytes).concat();
        let plugin = Conformance { factor: 1 };
        assert_eq!(plugin.migrate(0, &old), Ok(Sum { count: 3, sum: 299, last: Time(0) }));
        assert!(plugin.migrate(0, &old[1..]).is_err());
        assert_eq!(plugin.migrate(3, &old), Err(Failure::fatal("unknown version 3")));
    }
}
