//! Sinks, dead letters and archives.

use super::{expect, job, problems};

/// Dead letters in columns, by a format or by the name of a file → refused with the reason; as lines they are as good as before.
#[test]
fn dead_letters_are_lines() {
    let place = job("").lines().count() + 1;
    let refused = format!(
        "{place}:2 dead_letter: a dead letter may hold anything, and this sink does not keep whatever comes as it is (write them \
         as JSON: `wasmill dead-letter` reads nothing else)"
    );
    let s3 = "type = \"s3\"\nbucket = \"lake\"\nregion = \"eu-west-1\"";
    let csv = "format = \"csv\"\ncolumns = [\"/reason\"]";
    for settings in [
        "type = \"file\"\npath = \"dead\"\nformat = \"parquet\"",
        "type = \"file\"\npath = \"dead.csv\"\ncolumns = [\"/reason\"]",
        &format!("{s3}\nformat = \"parquet\""),
        &format!("{s3}\n{csv}"),
    ] {
        expect(&job(&format!("[dead_letter]\n{settings}\n")), &[&refused]);
    }
    for settings in
        ["type = \"file\"\npath = \"dead.jsonl.gz\"", "type = \"file\"\npath = \"dead\"", s3, "type = \"stdout\""]
    {
        expect(&job(&format!("[dead_letter]\n{settings}\n")), &[]);
    }
}

/// What becomes of rows in an outage, and how much may be refused → words that are none, terms without their condition, and sinks
/// that cannot give rows up are refused with the reason.
#[test]
fn terms() {
    let dead = "[dead_letter]\ntype = \"stdout\"\n";
    let search =
        "[sink.found]\ninput = \"cell\"\ntype = \"opensearch\"\nendpoint = \"http://127.0.0.1:1\"\nindex = \"x\"\n";
    let lines = "[sink.found]\ninput = \"cell\"\ntype = \"file\"\npath = \"found\"\n";
    let waits = "on_outage = \"dead-letter\"";
    let text = |sink: &str, terms: &str, dead: &str| job(&format!("{sink}{terms}\n{dead}"));
    expect(&text(search, &format!("{waits}\noutage_after = \"5s\"\nqueue_bytes = \"1 MiB\""), dead), &[]);
    expect(&text(lines, "on_outage = \"wait\"\nrefusals = { share = 1.0, period = \"10s\" }", ""), &[]);
    for (sink, terms, dead, message) in [
        (
            search,
            waits,
            "",
            "on_outage = \"dead-letter\" needs a sink for the dead letters (add a table [dead_letter])",
        ),
        (
            lines,
            waits,
            dead,
            "this sink cannot give rows up: in an outage they wait (leave `on_outage` out: what it has begun is made visible \
             by checkpoints, all of it or nothing)",
        ),
        (search, "on_outage = \"drop\"", dead, "`on_outage`: \"drop\" is unknown (\"wait\" or \"dead-letter\")"),
        (
            search,
            "outage_after = \"5s\"",
            dead,
            "`outage_after` needs on_outage = \"dead-letter\" (otherwise rows wait for as long as it takes)",
        ),
        (search, "refusals = { share = 1.5 }", dead, "`share` is 1.5, expected 0.0 to 1.0"),
    ] {
        let said = problems(&text(sink, terms, dead));
        let [problem] = said.as_slice() else { panic!("{said:?}") };
        assert!(problem.contains("sink found") && problem.ends_with(message), "{problem}");
    }
}

/// Sources that are archived: where, and what is no archive. The source that reads one.
#[test]
fn archives() {
    let archived = |table: &str| job(table).replace("type = \"replay\"", "type = \"replay\"\narchive = true");
    expect(
        &archived("[archive]\ntype = \"file\"\npath = \"raw\"\nroll_bytes = \"1 MiB\"\nroll_interval = \"5s\""),
        &[],
    );
    expect(&archived("[archive]\ntype = \"s3\"\nbucket = \"b\"\nprefix = \"raw/\"\nmanifests = true"), &[]);
    expect(
        &archived(""),
        &[
            "3:11 source trips: `archive` needs a table [archive] that says where records go (for example [archive] with type = \
           \"s3\", bucket = \"my-bucket\" and prefix = \"archive/\"; or with type = \"file\" and path = \"archive\")",
        ],
    );
    expect(
        &job("[archive]\ntype = \"file\"\npath = \"raw\""),
        &["11:2 no source is archived (write archive = true into the [source.NAME] whose records are to be kept)"],
    );
    expect(
        &archived("[archive]\ntype = \"stdout\""),
        &["13:8 archive: there is no type `stdout` (known types: file, s3)"],
    );
    expect(
        &archived("[archive]\ntype = \"s3\"\nbucket = \"b\"\nprefix = \"raw/{+%Y}\""),
        &[
            "15:10 archive: `prefix`: \"raw/{+%Y}\" is no folder of an archive (write it like \"archive/\": sources and hours have \
             folders of their own in it)",
        ],
    );
    let source = |settings: &str| {
        job("").replace("type = \"replay\"\npath = \"trips.jsonl\"", &format!("type = \"archive\"\n{settings}"))
    };
    expect(&source("path = \"raw\"\nfrom = \"2013-01-01T00:00:00Z\"\nuntil = \"2013-01-02T00:00:00Z\""), &[]);
    expect(&source("bucket = \"b\"\nprefix = \"raw/\"\nsource = \"rides\""), &[]);
    expect(
        &source("path = \"raw\"\nfrom = \"2013-01-02T00:00:00Z\"\nuntil = \"2013-01-01T00:00:00Z\""),
        &["1:9 source trips: `from` is not before `until`"],
    );
    expect(
        &source("path = \"raw\"\nfrom = \"yesterday\""),
        &["4:8 source trips: `from`: \"yesterday\" is not a time (write it like \"2013-01-01T00:00:00Z\")"],
    );
    let both = source("path = \"raw\"\narchive = true") + "[archive]\ntype = \"file\"\npath = \"raw\"";
    let [said, _] = &problems(&both)[..] else { panic!("two problems") };
    assert!(said.contains("its records are in an archive already"), "{said}");
    expect(
        &archived("[archive]\ntype = \"file\"\npath = \"raw\"\n[sink.more]\ninput = \"archive\"\ntype = \"stdout\""),
        &["16:9 sink more: input `archive` is a sink, which has no output"],
    );
}
