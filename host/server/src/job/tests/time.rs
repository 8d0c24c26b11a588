//! Event times, watermarks and windows.

use super::{expect, job};

/// Event times, watermarks and windows that cannot work are refused with the reason.
#[test]
fn time() {
    let event_time = |value: &str| job("").replace("\"/dropoff_datetime: time\"", value);
    expect(
        &event_time("\"/dropoff_datetime: s64\""),
        &[
            "4:14 source trips: `event_time`: the field must be of type `time`, as in \"/timestamp: time\", found \"/dropoff_datetime: s64\"",
        ],
    );
    expect(
        &event_time("\"/dropoff_datetime: tim\""),
        &["4:14 source trips: `event_time`: field `/dropoff_datetime: tim`: unknown type `tim`: did you mean `time`?"],
    );
    expect(
        &event_time("\"/dropoff_datetime: time?\""),
        &[
            "4:14 source trips: `event_time`: the field may not be optional: a row without an event time belongs nowhere",
        ],
    );
    expect(
        &event_time("\"dropoff_datetime\""),
        &[
            "4:14 source trips: `event_time`: expected a field such as \"/timestamp: time\", \"decoder\", or \"arrival\", found \"dropoff_datetime\"",
        ],
    );
    expect(&event_time("\"decoder\""), &["4:14 source trips: `event_time`: there is no `decoder` that could set it"]);
    expect(
        &job("").replace("event_time", "#"),
        &[
            "1:9 source trips: `event_time` is missing (it is a field such as \"/timestamp: time\", \"decoder\", or \"arrival\")",
        ],
    );
    let watermark = |value: &str| job("").replace("[step.cell]", &format!("watermark = {value}\n[step.cell]"));
    expect(
        &watermark("{ disorder = \"60s\", markers = true }"),
        &["5:26 source trips watermark: `disorder` and `markers` exclude each other"],
    );
    expect(
        &watermark("{ disorder = 60, idle = \"soon\" }"),
        &[
            "5:26 source trips watermark: `disorder`: invalid type: integer `60`, expected a duration like \"10s\"",
            "5:37 source trips watermark: `idle`: expected a duration like \"250ms\", \"10s\", \"10m\" or \"1h 30m\", found \"soon\"",
        ],
    );
}

/// A window is of exactly one sort, and what belongs to another sort does not go with it.
#[test]
fn windows() {
    let window = |value: &str| job("").replace("plugin = \"cell\"", &format!("plugin = \"cell\"\nwindow = {value}"));
    expect(&window("\"10m\""), &["8:1 step cell: `window` must be a table, found string"]);
    expect(
        &window("{}"),
        &[
            "8:1 step cell window: exactly one of `tumbling`, `sliding` and `session` must be there (such as { tumbling = \"10m\" }, { sliding = \"1h\", every = \"5m\" } or { session = \"15m\" })",
        ],
    );
    expect(
        &window("{ tumbling = \"10m\", session = \"1m\" }"),
        &[
            "8:1 step cell window: exactly one of `tumbling`, `sliding` and `session` must be there (such as { tumbling = \"10m\" }, { sliding = \"1h\", every = \"5m\" } or { session = \"15m\" })",
        ],
    );
    expect(
        &window("{ sliding = \"1h\" }"),
        &[
            "8:1 step cell window: `sliding` needs `every` (such as { tumbling = \"10m\" }, { sliding = \"1h\", every = \"5m\" } or { session = \"15m\" })",
        ],
    );
    expect(
        &window("{ sliding = \"1h\", every = \"2h\" }"),
        &[
            "8:1 step cell window: slide must be at most size (1h), or rows fall between windows; found 2h (the size of a window is `tumbling` or `sliding`, its slide is `every`, the gap of sessions is `session`)",
        ],
    );
    expect(
        &window("{ tumbling = \"0s\" }"),
        &[
            "8:1 step cell window: size must be more than zero (the size of a window is `tumbling` or `sliding`, its slide is `every`, the gap of sessions is `session`)",
        ],
    );
    expect(&window("{ tumbling = \"10m\", every = \"1m\" }"), &["8:38 step cell window: `every` belongs to `sliding`"]);
    expect(&window("{ session = \"10m\", offset = \"1m\" }"), &["8:38 step cell window: sessions have no `offset`"]);
    expect(
        &window("{ tumbing = \"10m\" }"),
        &["8:12 step cell window: unknown key `tumbing` (did you mean `tumbling`?)"],
    );
    expect(
        &job("").replace("plugin = \"cell\"", "plugin = \"cell\"\nallowed_lateness = \"1m\""),
        &["8:20 step cell: `allowed_lateness` needs a `window`"],
    );
}
