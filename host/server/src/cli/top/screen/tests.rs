//! Jobs on a screen, and what keys do.

use super::*;
use serde_json::json;

fn job(name: &str, tenant: Option<&str>, state: &str, rate: f64, restarts: u64) -> JobStatus {
    let id = tenant.map_or(name.to_owned(), |tenant| format!("{tenant}:{name}"));
    let step = json!({
        "name": "cells", "read": 5_000, "emitted": 4_990, "filtered": 0, "late": 7, "rejected": 3, "control": 0,
        "in_flight": 0, "written": 4_990, "windows_fired": 0, "timers_fired": 0, "state_bytes": 2048, "open_windows": 12,
        "retries": 1, "busy": 0.25, "plugin": {"name": "cell-key", "version": "0.1.0", "sha256": "9f86d081884c7d65"},
    });
    let run = json!({
        "uptime": 60.0, "records_in": 5_000, "records_per_second": rate, "records_out": 1, "records_out_per_second": 0.5,
        "late": 7, "dead_letters": 3, "lag": 150.0, "event_time_lag": 30.0,
        "checkpoints": {"published": 4, "last": 4, "age": 1.5, "took": 0.1, "written_bytes": 10}, "steps": [step],
    });
    let status = json!({
        "id": id, "tenant": tenant, "name": name, "state": state, "since": "2026-01-01T00:00:00.000Z",
        "restarts": restarts, "run": run,
    });
    serde_json::from_value(status).expect("a status")
}

fn screen() -> Screen {
    let mut screen = Screen::new("http://h".to_owned());
    screen.show(Ok(vec![
        job("taxi", None, "running", 1_234.5, 0),
        job("bikes", Some("acme"), "failed", 10.0, 7),
        job("metro", Some("acme"), "running", 99.0, 1),
    ]));
    screen
}

/// The names in the order in which they are drawn.
fn names(screen: &Screen) -> Vec<String> {
    let lines = screen.draw(200, 20, false);
    let plain = lines.iter().map(|line| console::strip_ansi_codes(line).into_owned());
    let rows = plain.skip_while(|line| !line.starts_with("JOB")).skip(1);
    rows.filter_map(|line| line.split("  ").next().map(str::to_owned)).filter(|name| !name.contains(':')).collect()
}

fn press(screen: &mut Screen, keys: &str) {
    keys.chars().for_each(|key| assert_eq!(screen.press(&Key::Char(key)), Flow::Stay));
}

/// A row says what the host says, and no more of a job that has failed than is still true.
#[test]
fn a_row() {
    let rows = table(&screen().jobs);
    let words =
        |line: &str| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|line| words(line)).collect();
    assert_eq!(rows[0], Column::ALL.map(Column::title));
    let plugins = "cells=cell-key 0.1.0";
    assert_eq!(rows[1], ["bikes", "acme", "failed", "-", "-", "-", "-", "-", "3", "7", plugins]);
    assert_eq!(rows[3], ["taxi", "-", "running", "1,235", "0.5", "2m", "30s", "1.5s", "3", "0", plugins]);
}

/// Sorted by a key, then the other way round; only what fits the filter; a filter that is left behind shows all again.
#[test]
fn sorted_and_filtered() {
    let mut screen = screen();
    assert_eq!(names(&screen), ["bikes", "metro", "taxi"]);
    press(&mut screen, "i");
    assert_eq!(names(&screen), ["taxi", "metro", "bikes"]);
    press(&mut screen, "i");
    assert_eq!(names(&screen), ["bikes", "metro", "taxi"]);
    press(&mut screen, "f");
    assert_eq!(names(&screen), ["bikes", "metro", "taxi"]);
    press(&mut screen, "/ACM");
    assert_eq!(names(&screen), ["bikes", "metro"]);
    screen.press(&Key::Backspace);
    screen.press(&Key::Enter);
    press(&mut screen, "n");
    assert_eq!(names(&screen), ["bikes", "metro"]);
    screen.press(&Key::Escape);
    assert_eq!(names(&screen).len(), 3);
    assert_eq!(screen.press(&Key::Char('q')), Flow::Leave);
}

/// The chosen job stays chosen when others come and the order changes; its steps are shown, and left again. A host that does not
/// answer is said, and what was known stays.
#[test]
fn chosen() {
    let mut screen = screen();
    press(&mut screen, "jj");
    screen.show(Ok(vec![job("a", None, "running", 1.0, 0), job("taxi", None, "running", 2.0, 0)]));
    screen.press(&Key::Enter);
    let lines = screen.draw(200, 20, false);
    assert!(lines.iter().any(|line| line.contains("taxi  running since 2026")), "{lines:?}");
    let step = lines.iter().find(|line| line.starts_with("cells")).expect("its step");
    let words: Vec<_> = step.split_whitespace().collect();
    assert_eq!(words[..9], ["cells", "5,000", "4,990", "0", "7", "3", "25%", "2", "KiB"], "{step}");
    assert!(step.ends_with("cell-key 0.1.0 9f86d081884c"), "{step}");
    screen.show(Err(Error::unavailable("ask the host")));
    screen.press(&Key::Escape);
    let lines = screen.draw(200, 20, false);
    assert!(lines[1].contains("ask the host") && names(&screen).len() == 2, "{lines:?}");
}

/// A small terminal and many jobs → so many lines of that width, with the chosen one among them; colours only where they are wanted.
#[test]
fn a_small_terminal() {
    let mut screen = Screen::new("http://h".to_owned());
    screen.show(Ok((0..500).map(|number| job(&format!("job-{number:03}"), None, "running", 1.0, 0)).collect()));
    (0..400).for_each(|_| press(&mut screen, "j"));
    for (width, height) in [(40, 10), (1, 3), (0, 1)] {
        let lines = screen.draw(width, height, true);
        assert!(lines.len() <= height, "{}", lines.len());
        assert!(lines.iter().all(|line| console::measure_text_width(line) <= width), "{lines:?}");
    }
    assert!(screen.draw(80, 10, false).iter().any(|line| line.contains("\x1b[7m") && line.contains("job-400")));
    let is_coloured = |coloured| screen.draw(80, 10, coloured).iter().any(|line| line.contains("\x1b[32m"));
    assert!(is_coloured(true) && !is_coloured(false));
}
