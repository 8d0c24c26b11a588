use super::*;

fn split(name: &str, watermark: Option<i64>, is_idle: bool) -> (String, String, SplitState) {
    ("rows".to_owned(), name.to_owned(), SplitState { watermark, is_idle, behind: None })
}

fn explained(told: &[Told], splits: Vec<(String, String, SplitState)>, is_late: bool) -> Explanation {
    Explanation::from_parts("averages", None, told, splits, is_late)
}

fn told(watermark: i64, windows: &[(i64, i64)]) -> Told {
    Told { watermark, windows: windows.to_vec() }
}

/// Two workers with windows, and splits ahead, behind, silent and unknown → the first window, and those that hold it, first.
#[test]
fn who_holds() {
    let two = [told(3_000, &[(10_000, 20_000), (0, 10_000)]), told(2_000, &[(0, 10_000)])];
    let splits = vec![
        split("a", Some(11_000), false),
        split("b", Some(4_000), false),
        split("c", None, true),
        split("d", None, false),
    ];
    let explanation = explained(&two, splits, false);
    assert_eq!(explanation.watermark.as_deref(), Some("1970-01-01T00:00:02.000Z"));
    assert_eq!(explanation.windows.len(), 2, "{explanation:?}");
    let held: Vec<_> = explanation.splits.iter().map(|split| (split.split.as_str(), split.holds)).collect();
    assert_eq!(held, [("b", true), ("d", true), ("a", false), ("c", false)]);
    assert!(explanation.splits[0].why.contains("6 s before the end of the window"), "{explanation}");
    assert!(
        explanation.why.starts_with("split b of rows, split d of rows hold the window that ends at"),
        "{explanation}"
    );
}

/// Nothing open, all silent, all ahead, or no answer → said so.
#[test]
fn other_reasons() {
    let window = [told(0, &[(0, 10_000)])];
    let ahead = || vec![split("a", Some(10_000), false)];
    for (explanation, words) in [
        (explained(&[told(0, &[])], ahead(), false), "no window of averages is open"),
        (explained(&window, vec![split("a", None, true)], false), "because all splits are silent"),
        (explained(&window, ahead(), false), "averages has yet to hear of it"),
        (explained(&[], ahead(), true), "averages has not ended an epoch for 3 s"),
        (explained(&window, vec![split("a", Some(1), false)], false), "split a of rows holds the window"),
    ] {
        assert!(explanation.why.contains(words), "{explanation}");
    }
}
