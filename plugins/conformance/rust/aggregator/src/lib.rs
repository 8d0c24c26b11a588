//! The aggregator that every language has, see `plugins/conformance/README.md`.

use serde::Serialize;
use wasmill::{Accumulator, Aggregator, Failure, Fault, Fields, Key, Pane, Settings, Window};

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

#[derive(Debug, PartialEq, Accumulator)]
struct Sum {
    count: i64,
    sum: i64,
    min: i64,
    max: i64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { count: 0, sum: 0, min: i64::MAX, max: i64::MIN }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Line {
    Sum { key: String, count: i64, sum: i64, min: i64, max: i64, from: i64, to: i64, late: bool },
    Odd { key: String, odd: i64 },
}

impl Aggregator for Conformance {
    type Row = Cents;
    type Accumulator = Sum;
    type Results = Result<Vec<Line>, Fault>;

    fn check(&self, row: &Cents) -> Result<(), Fault> {
        wasmill::metrics::count("rows", 1);
        if row.cents == 13 { Err("unlucky")? } else { Ok(()) }
    }

    fn accumulate(&self, sum: &mut Sum, Cents { id, cents }: Cents) {
        self.merge(sum, Sum { count: 1, sum: cents * self.factor, min: id, max: id });
    }

    fn merge(&self, into: &mut Sum, from: Sum) {
        into.count += from.count;
        into.sum += from.sum;
        into.min = into.min.min(from.min);
        into.max = into.max.max(from.max);
    }

    fn finish(&self, window: Window, key: Key<'_>, Sum { count, sum, min, max }: Sum) -> Self::Results {
        if count % 11 == 0 {
            Err("eleven")?;
        }
        let key = || key.text().into_owned();
        let (from, to, late) = (window.start.0, window.end.0, window.pane == Pane::Late);
        let mut lines = vec![Line::Sum { key: key(), count, sum, min, max, from, to, late }];
        if sum % 2 != 0 {
            lines.push(Line::Odd { key: key(), odd: sum });
        }
        Ok(lines)
    }

    fn migrate(&self, from_version: u32, accumulator: &[u8]) -> Result<Sum, Failure> {
        #[derive(Accumulator, Default)]
        struct WithoutMax {
            count: i64,
            sum: i64,
            min: i64,
        }
        if from_version != 0 {
            return Err(Failure::fatal(format!("unknown version {from_version}")));
        }
        let WithoutMax { count, sum, min } = WithoutMax::decode(accumulator)?;
        Ok(Sum { count, sum, min, max: min })
    }
}

wasmill::aggregator!(Conformance);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill::Time;

    const PLUGIN: Conformance = Conformance { factor: 3 };

    fn sum(count: i64, sum: i64, min: i64, max: i64) -> Sum {
        Sum { count, sum, min, max }
    }

    /// Rows and accumulators add up; 32 bytes, little-endian.
    #[test]
    fn accumulators() {
        let mut all = Sum::default();
        PLUGIN.accumulate(&mut all, Cents { id: -4, cents: 100 });
        PLUGIN.merge(&mut all, sum(2, -1, 7, 9));
        assert_eq!(all, sum(3, 299, -4, 9));
        let mut bytes = Vec::new();
        all.encode(&mut bytes).expect("plain numbers");
        let expected = [3, 299, -4, 9].map(i64::to_le_bytes).concat();
        assert_eq!(bytes, expected);
        assert_eq!(PLUGIN.check(&Cents { id: 1, cents: 13 }), Err("unlucky".into()));
        assert_eq!(PLUGIN.check(&Cents { id: 13, cents: 12 }), Ok(()));
    }

    /// One line, a second one for an odd sum, none for eleven.
    #[test]
    fn results() {
        let window = Window { start: Time(-60_000), end: Time(0), pane: Pane::Late };
        let lines = |accumulator| {
            let lines = PLUGIN.finish(window, Key::new("\"é\n".as_bytes()), accumulator)?;
            Ok::<_, Fault>(serde_wire(&lines))
        };
        let line = r#"{"key":"\"é\n","count":3,"sum":-1,"min":-4,"max":9,"from":-60000,"to":0,"late":true}"#;
        assert_eq!(lines(sum(3, -1, -4, 9)), Ok(format!("{line}\n{}", r#"{"key":"\"é\n","odd":-1}"#)));
        assert_eq!(lines(sum(3, 8, 1, 2)).map(|lines| lines.lines().count()), Ok(1));
        assert_eq!(lines(sum(22, 1, 1, 2)), Err("eleven".into()));
    }

    /// As the SDK writes results.
    fn serde_wire(lines: &[Line]) -> String {
        let json = |line| serde_json::to_string(line).expect("plain data");
        lines.iter().map(json).collect::<Vec<_>>().join("\n")
    }

    /// Version 0 had no maximum; another version is not known.
    #[test]
    fn versions() {
        let old = [3, 299, -4].map(i64::to_le_bytes).concat();
        assert_eq!(PLUGIN.migrate(0, &old), Ok(sum(3, 299, -4, -4)));
        assert!(PLUGIN.migrate(0, &old[1..]).is_err());
        assert_eq!(PLUGIN.migrate(2, &old), Err(Failure::fatal("unknown version 2")));
    }
}
