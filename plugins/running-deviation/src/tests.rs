use super::*;
use wasmill::process::{Emitted, Trial};

const SECOND: i64 = 1_000;

fn trial(settings: &str) -> Trial<RunningDeviation> {
    Trial::new(wasmill::settings::parse(settings).expect("good settings"))
}

fn show(trial: &mut Trial<RunningDeviation>, seconds: i64, value: f64) -> Vec<Emitted> {
    trial.row("a", Time(seconds * SECOND), Reading { value }).expect("no row is refused")
}

/// 10, 12, 10, 12, … and then 15 → that is 5 deviations off, and the next 12 is not. The alert is of the values before.
#[test]
fn far_values_are_told() {
    let mut trial = trial(r#"{"field": "/level", "warm_up": 4}"#);
    for (second, value) in [10.0, 12.0, 10.0, 12.0].into_iter().enumerate() {
        assert_eq!(show(&mut trial, second as i64, value), [], "still warming up");
    }
    let alerts = show(&mut trial, 5, 15.0);
    let expected = r#"{"key":"a","value":15.0,"mean":11.0,"deviation":1.1547005383792515,"count":4,"time":"1970-01-01T00:00:05.000Z"}"#;
    assert_eq!(
        alerts.iter().map(|alert| (alert.time, alert.value.as_str())).collect::<Vec<_>>(),
        [(Time(5_000), expected)]
    );
    assert_eq!(show(&mut trial, 6, 12.0), []);
}

/// A value exactly `sigmas` away is not too far; neither is anything before `warm_up` values.
#[test]
fn bounds_are_exact() {
    let settings = r#"{"field": "/level", "warm_up": 2, "sigmas": 2}"#;
    let told = |last: f64| {
        let mut trial = trial(settings);
        let before: usize = [3.0, 1e9].into_iter().map(|value| show(&mut trial, 0, value).len()).sum();
        (before, show(&mut trial, 1, last).len())
    };
    let mean = (3.0 + 1e9) / 2.0;
    let deviation = (1e9 - 3.0) / 2_f64.sqrt();
    assert_eq!(told(mean + 1.999 * deviation), (0, 0));
    assert_eq!(told(mean - 2.001 * deviation), (0, 1));
    let mut flat = trial(settings);
    assert_eq!([5.0, 5.0, 5.0, 5.1].map(|value| show(&mut flat, 0, value).len()), [0, 0, 0, 1], "equal is not far");
}

/// The running numbers are those of the formula, also for values whose squares would drown their differences.
#[test]
fn welford_is_stable() {
    let values: Vec<f64> = (0..1_000).map(|n| 1e9 + f64::from(n * 7919 % 1000)).collect();
    let mut running = Running::default();
    values.iter().for_each(|value| running.add(*value));
    let mean = values.iter().map(|value| value - 1e9).sum::<f64>() / 1e3;
    let squares = values.iter().map(|value| (value - 1e9 - mean).powi(2)).sum::<f64>();
    assert!((running.mean - 1e9 - mean).abs() < 1e-5, "{}", running.mean);
    assert!((running.deviation() - (squares / 999.0).sqrt()).abs() < 1e-6, "{}", running.deviation());
}

/// Rows move the end of silence on without new timers; after it the key starts anew.
#[test]
fn silent_keys_are_forgotten() {
    let mut trial = trial(r#"{"field": "/level", "idle": "60s", "warm_up": 2}"#);
    for second in [0, 30, 50] {
        show(&mut trial, second, 1.0);
    }
    assert_eq!(trial.timers("a"), [Time(60 * SECOND)]);
    assert_eq!(trial.watermark(Time(60 * SECOND)), Ok(Vec::new()));
    assert_eq!(trial.timers("a"), [Time(110 * SECOND)]);
    assert_eq!(trial.state("a").map(|running| running.count), Some(3));
    assert_eq!(show(&mut trial, 110, 99.0), [], "silence is over when the row comes: the key is new");
    assert_eq!(trial.state("a").map(|running| running.count), Some(1));
    assert_eq!(trial.watermark(Time(170 * SECOND)), Ok(Vec::new()));
    assert!(trial.state("a").is_none() && trial.timers("a").is_empty());
}

/// The setting says which number is watched, and must be a pointer; what is not set has its default.
#[test]
fn settings() {
    let plugin: RunningDeviation = wasmill::settings::parse(r#"{"field": "/a/b"}"#).expect("one setting is enough");
    assert_eq!((plugin.pointer("/value"), plugin.sigmas, plugin.warm_up), ("/a/b", 3.0, 30));
    assert_eq!(plugin.idle, Duration::from_secs(3600));
    let error = wasmill::settings::parse::<RunningDeviation>(r#"{"field": "level"}"#).err().expect("no pointer");
    assert_eq!(error, r#"setting "field": expected a JSON pointer such as "/user/name", found "level""#);
}
