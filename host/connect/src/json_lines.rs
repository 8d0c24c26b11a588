//! How sinks write rows as lines: each value as it is, then a line end.

use memchr::memchr_iter;
use wasmill_stream::Batch;

/// Appends the values of a batch, one line each. A line end inside a value becomes a space, which means the same in JSON:
/// one row must stay one line.
pub fn append(batch: &Batch, lines: &mut Vec<u8>) {
    lines.reserve(batch.values.total_bytes() + batch.len());
    batch.values.iter().for_each(|value| append_value(value, lines));
}

/// Appends one value as a line.
pub fn append_value(value: &[u8], lines: &mut Vec<u8>) {
    let start = lines.len();
    lines.extend_from_slice(value);
    for at in memchr_iter(b'\n', value) {
        lines[start + at] = b' ';
    }
    lines.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pretty-printed value stays one row, and nothing else changes.
    #[test]
    fn one_row_is_one_line() {
        let batch =
            Batch { values: ["{\n \"a\": 1\n}", "", "x"].into_iter().collect(), times: vec![0; 3], ..Batch::default() };
        let mut lines = b"before\n".to_vec();
        append(&batch, &mut lines);
        assert_eq!(String::from_utf8_lossy(&lines), "before\n{  \"a\": 1 }\n\nx\n");
    }
}
