//! Values far from what their key has shown so far, by sums over lists: no running update, no timers.

use super::windows::Row;
use std::collections::BTreeMap;

/// A value that is too far from the mean of those before it.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct Alert {
    pub key: String,
    pub time: i64,
    pub value: f64,
    pub count: u64,
    pub mean: f64,
}

/// The alerts of rows that were dealt to `splits` splits in turn. A key that was silent for `idle` starts over.
pub fn alerts(rows: &[Row], splits: usize, idle: i64, warm_up: usize, sigmas: f64) -> Vec<Alert> {
    let mut numbered: Vec<(usize, &Row)> = rows.iter().enumerate().collect();
    // Rows of one time: by split, then by position in it.
    numbered.sort_by_key(|(at, row)| (row.time, at % splits, *at));
    let mut seen: BTreeMap<&str, Vec<(i64, f64)>> = BTreeMap::new();
    let mut alerts = Vec::new();
    for (_, row) in numbered {
        let seen = seen.entry(&row.key).or_default();
        if seen.last().is_some_and(|(last, _)| row.time - last >= idle) {
            seen.clear();
        }
        let (value, count) = (row.amount as f64, seen.len());
        if count >= warm_up {
            let mean = seen.iter().map(|(_, value)| value).sum::<f64>() / count as f64;
            let squares: f64 = seen.iter().map(|(_, value)| (value - mean).powi(2)).sum();
            let deviation = (squares / (count - 1) as f64).sqrt();
            if (value - mean).abs() > sigmas * deviation {
                alerts.push(Alert { key: row.key.clone(), time: row.time, value, count: count as u64, mean });
            }
        }
        seen.push((row.time, value));
    }
    alerts.sort_by(|a, b| a.partial_cmp(b).expect("no value is NaN"));
    alerts
}
