//! Windows over all rows at once. There is no watermark here, so no row is late.

use std::collections::BTreeMap;

/// A row: its key, its event time in milliseconds, its amount.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub key: String,
    pub time: i64,
    pub amount: i64,
}

/// Start, end and key of a window, to the number and the sum of its rows.
pub type Answer = BTreeMap<(i64, i64, String), (i64, i64)>;

/// Windows of `size`, one after the other.
pub fn tumbling(rows: &[Row], size: i64) -> Answer {
    sliding(rows, size, size)
}

/// Windows of `size` that start at every multiple of `slide`.
pub fn sliding(rows: &[Row], size: i64, slide: i64) -> Answer {
    let mut answer = Answer::new();
    for row in rows {
        let mut start = row.time.div_euclid(slide) * slide;
        while start + size > row.time {
            add(&mut answer, start, start + size, row);
            start -= slide;
        }
    }
    answer
}

/// Per key: rows with silences of at most `gap` between them. A session ends `gap` after its last row.
pub fn session(rows: &[Row], gap: i64) -> Answer {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| (&row.key, row.time));
    let together = |a: &&Row, b: &&Row| a.key == b.key && b.time - a.time <= gap;
    let mut answer = Answer::new();
    for rows in sorted.chunk_by(together) {
        let (start, end) = (rows[0].time, rows[rows.len() - 1].time + gap);
        rows.iter().for_each(|row| add(&mut answer, start, end, row));
    }
    answer
}

fn add(answer: &mut Answer, start: i64, end: i64, row: &Row) {
    let (count, sum) = answer.entry((start, end, row.key.clone())).or_default();
    *count += 1;
    *sum += row.amount;
}
