//! Numbers as they stand in a narrow column.

use crate::progress::grouped;

/// A number per second.
pub fn rate(rate: f64) -> String {
    match rate {
        rate if rate >= 10.0 => grouped(rate.round() as u64),
        rate if rate > 0.0 => format!("{rate:.1}"),
        _ => "0".to_owned(),
    }
}

/// A time, to about two digits. What is not known, or lies ahead by a clock that is not ours, is a dash or none.
pub fn time(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return "-".to_owned() };
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..10 => format!("{:.1}s", seconds.max(0.0)),
        10..120 => format!("{whole}s"),
        120..7_200 => format!("{}m", whole / 60),
        7_200..172_800 => format!("{}h", whole / 3_600),
        _ => format!("{}d", whole / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each unit from where it is easier to read.
    #[test]
    fn short() {
        assert_eq!([0.0, 0.25, 9.96, 1_234.5].map(rate), ["0", "0.2", "10.0", "1,235"]);
        let times = [Some(0.04), Some(9.9), Some(119.0), Some(121.0), Some(7_200.0), Some(200_000.0), Some(-3.0), None];
        assert_eq!(times.map(time), ["0.0s", "9.9s", "119s", "2m", "2h", "2d", "0.0s", "-"]);
    }
}
