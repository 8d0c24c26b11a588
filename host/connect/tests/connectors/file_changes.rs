//! The `file` sink when a run goes on with what another one has left: other settings, and checkpoints that are not to be trusted.

use crate::file::lines;
use crate::file_commits::{open, publish, rows_of};
use crate::formats::below;
use crate::sink_suite::rows;
use serde_json::Value;
use tempfile::tempdir;
use wasmill_stream::sink::Cut;

/// The settings change from run to run, while rows of the run before are prepared in an open part → every row is in a file of the
/// format that it was written in, once.
#[tokio::test]
async fn another_format_in_the_next_run() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let settings = [
        "",
        "compression = \"zstd\"",
        "format = \"csv\"\ncolumns = [\"/n: s64\"]",
        "format = \"csv\"\ncolumns = [\"/n\", \"/m\"]",
        "format = \"parquet\"\nprefix = \"all/\"",
        "prefix = \"all/\"",
        "",
    ];
    let (all, mut prepared) = (rows(settings.len()), Value::Null);
    for (run, settings) in settings.iter().enumerate() {
        let mut writer = open(path, settings, run as u64 + 1, &prepared).await.expect("it opens");
        prepared = publish(&mut writer, &all[run..=run], Cut::Running).await;
    }
    let mut writer = open(path, "", 9, &prepared).await.expect("it opens");
    publish(&mut writer, &[], Cut::End).await;
    writer.commit().await.expect("a commit");
    let ends = |name: &String| name.split_once('.').map(|(_, end)| end.to_owned()).expect("an end");
    let mut found: Vec<_> = below(path).iter().map(ends).collect();
    found.sort();
    assert_eq!(found, ["csv", "csv", "jsonl", "jsonl", "jsonl", "jsonl.zst", "parquet"]);
    let numbers = |name: &String| match ends(name).as_str() {
        "csv" => lines(&path.join(name))[1..].iter().map(|line| line.trim_end_matches(',').to_owned()).collect(),
        _ => rows_of(&path.join(name)).iter().map(|row| row[5..row.len() - 1].to_owned()).collect::<Vec<_>>(),
    };
    let mut numbers: Vec<_> = below(path).iter().flat_map(numbers).collect();
    numbers.sort();
    assert_eq!(numbers, (0..settings.len()).map(|n| n.to_string()).collect::<Vec<_>>());

    let one = path.join("one.csv");
    let mut writer = open(&one, "columns = [\"/n\"]", 1, &Value::Null).await.expect("it opens");
    let prepared = publish(&mut writer, &all, Cut::Running).await;
    drop(writer);
    let error = open(&one, "columns = [\"/m\"]", 2, &prepared).await.err().expect("other columns");
    assert!(error.report().contains("begun with other columns"), "{}", error.report());
}

/// What a checkpoint names leads out of the folder → the sink does not open.
#[tokio::test]
async fn names_that_lead_away() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("in");
    let settings = "format = \"parquet\"\nprefix = \"zone={n}/\"";
    let mut writer = open(&path, settings, 1, &Value::Null).await.expect("it opens");
    let prepared = publish(&mut writer, &rows(1), Cut::Running).await;
    drop(writer);
    let name = prepared["finished"][0]["name"].as_str().expect("a name").to_owned();
    assert!(name.starts_with("zone=0/part-0000000001-"), "{name}");
    let file = name.rsplit_once('/').map(|(_, file)| file).expect("a file");
    for forged in [
        format!("../{file}"),
        format!("/{file}"),
        format!("/tmp/{file}"),
        format!("a//{file}"),
        format!("a/../../{file}"),
    ] {
        let mut prepared = prepared.clone();
        prepared["finished"][0]["name"] = forged.clone().into();
        let error = open(&path, settings, 2, &prepared).await.err().unwrap_or_else(|| panic!("{forged}"));
        assert!(error.report().contains("is not of this sink"), "{forged}: {}", error.report());
    }
    open(&path, settings, 2, &prepared).await.expect("it opens");
    assert_eq!(below(&path), [name]);
}
