//! From OpenMetrics to the older text format, which knows no units and has `_total` in the names of counters.

/// The same metrics in the older format.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let words = help.take().and_then(|help| help.strip_prefix("# HELP ")?.strip_prefix(name));
            if let Some(words) = words {
                push(&mut plain, &["# HELP ", name, suffix, words]);
            }
            push(&mut plain, &["# TYPE ", name, suffix, " ", kind]);
        } else if !line.starts_with('#') {
            push(&mut plain, &[line]);
        }
    }
    plain
}

fn push(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counters get their suffix in what is said about them, units and the end mark go, series stay as they are.
    #[test]
    fn only_what_is_said_about_them_changes() {
        let open = "# HELP a_seconds What it took.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total{s=\"# \"} 1.5\n\
                    # HELP b Now.\n# TYPE b gauge\nb{} 2\n# EOF\n";
        let expected = "# HELP a_seconds_total What it took.\n# TYPE a_seconds_total counter\na_seconds_total{s=\"# \"} 1.5\n\
                        # HELP b Now.\n# TYPE b gauge\nb{} 2\n";
        assert_eq!(plain(open), expected);
    }
}
