use super::super::note::Silence;
use super::*;
use serde_json::json;
use wasmill_stream::config::{Problems, Section};

const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_795_000_000_000;

fn settings(more: &str) -> Settings {
    let text = format!("stream = \"trips\"\n{more}");
    let table = toml::de::DeTable::parse(&text).expect("valid TOML");
    let place = table.span();
    let mut section = Section::new("source in", place, table.into_inner(), &|_: &str| None);
    let mut problems = Problems::default();
    let settings = Settings::check(&mut section, &mut problems);
    assert!(problems.is_empty());
    settings
}

fn description(created: i64) -> Description {
    Description { identity: Identity { arn: "arn:trips".to_owned(), created }, retention_hours: 24 }
}

fn listed(shards: &[(&str, &[&str])]) -> Vec<Shard> {
    let shard = |(id, parents): &(&str, &[&str])| Shard {
        id: (*id).to_owned(),
        parents: parents.iter().map(|id| (*id).to_owned()).collect(),
        hashes: None,
    };
    shards.iter().map(shard).collect()
}

fn number(number: u64) -> ExtendedSequence {
    ExtendedSequence::parse(&number.to_string()).expect("digits")
}

fn mark(position: Option<u64>, done: bool) -> SplitMark {
    SplitMark { position: position.map(|p| Position::Sequence(number(p))), watermark: None, done }
}

fn resume(note: &Note, marks: &[(&str, SplitMark)]) -> Resume {
    let splits = marks.iter().map(|(id, mark)| ((*id).to_owned(), *mark)).collect();
    Resume { note: serde_json::to_value(note).expect("JSON"), splits }
}

fn plan(more: &str, resume: Option<&Resume>, now: i64, shards: &[(&str, &[&str])]) -> Result<Plan> {
    let (settings, description) = (settings(more), description(7));
    let known = Known { settings: &settings, description: &description, resume, now };
    let note = known.note()?;
    known.plan(listed(shards), note)
}

/// What is opened where, one word per shard.
fn places(plan: &Plan) -> Vec<String> {
    let place = |place: &Place| match place {
        Place::Oldest => "oldest".to_owned(),
        Place::Since(time) => format!("since {}", time - NOW),
        Place::At(sequence) => format!("at {sequence}"),
    };
    plan.open.iter().map(|(shard, at)| format!("{} {}", shard.id, place(at))).collect()
}

const TREE: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["a"])];

/// `start` is about the shards that are there at the first start: those go on from that time also after a restart, all
/// later ones from their first record.
#[test]
fn a_start_is_pinned() {
    let first = plan("start = \"latest\"", None, NOW, &TREE[..1]).expect("a plan");
    assert_eq!(places(&first), ["a since 0"]);
    let marks = resume(&first.note, &[("a", mark(None, false))]);
    let later = plan("start = \"latest\"", Some(&marks), NOW + HOUR, TREE).expect("a plan");
    assert_eq!(places(&later), ["a since 0", "b oldest", "c oldest"]);
    let oldest = plan("", None, NOW, TREE).expect("a plan");
    assert_eq!(places(&oldest), ["a oldest", "b oldest", "c oldest"]);
}

/// A shard that is done is opened no more, also not by the run after next, whose checkpoint may know nothing of it; one
/// that the stream does not list any more is forgotten.
#[test]
fn finished_shards_stay_finished() {
    let first = plan("", None, NOW, TREE).expect("a plan");
    let marks = resume(&first.note, &[("a", mark(Some(9), true)), ("b", mark(Some(3), false))]);
    let second = plan("", Some(&marks), NOW, TREE).expect("a plan");
    assert_eq!(places(&second), ["b at 3", "c oldest"]);
    let marks = resume(&second.note, &[("b", mark(Some(4), false)), ("c", mark(None, false))]);
    let third = plan("", Some(&marks), NOW, TREE).expect("a plan");
    assert_eq!(places(&third), ["b at 4", "c oldest"]);
    let without_a = plan("", Some(&marks), NOW, &TREE[1..]).expect("a plan");
    assert!(without_a.note.finished.is_empty() && without_a.gone.is_empty());
}

/// A shard that the stream has forgotten before it was finished is a gap, unless it was silent while it was kept.
#[test]
fn forgotten_shards_are_gaps() {
    let mut note = plan("", None, NOW, TREE).expect("a plan").note;
    note.silent.insert("b".to_owned(), Silence { after: Some(number(5)), at: NOW });
    let marks = [("a", mark(Some(9), true)), ("b", mark(Some(5), false)), ("c", mark(Some(6), false))];
    let plan_at = |time| plan("", Some(&resume(&note, &marks)), time, &[("d", &["b", "c"])]).expect("a plan");
    let soon = plan_at(NOW + 20 * HOUR);
    assert_eq!(
        (soon.gone.as_slice(), places(&soon)),
        (&["b".to_owned(), "c".to_owned()][..], vec!["d oldest".to_owned()])
    );
    assert_eq!(
        soon.gaps.iter().map(|gap| (gap.shard.as_str(), gap.after)).collect::<Vec<_>>(),
        [("c", Some(number(6)))]
    );
    let late = plan_at(NOW + 25 * HOUR);
    assert_eq!(late.gaps.iter().map(|gap| gap.shard.as_str()).collect::<Vec<_>>(), ["b", "c"]);
}

/// A silence proves nothing about records behind an earlier position.
#[test]
fn silence_is_behind_a_position() {
    let mut note = plan("", None, NOW, TREE).expect("a plan").note;
    note.silent.insert("a".to_owned(), Silence { after: Some(number(10)), at: NOW });
    let whole = |position| note.is_whole("a", position, NOW + HOUR, 24 * HOUR);
    // As text, "9" comes after "10".
    assert!(whole(Some(number(10))) && whole(Some(number(11))));
    assert!(!whole(Some(number(9))));
    assert!(!note.is_whole("b", Some(number(11)), NOW, 24 * HOUR));
}

/// A note is younger than the positions of its checkpoint: silence behind an aggregate proves nothing about the user records
/// behind a position inside it.
#[test]
fn silence_is_behind_a_user_record() {
    let mut note = plan("", None, NOW, TREE).expect("a plan").note;
    let place = |sub| ExtendedSequence { sub: Some(sub), ..number(10) };
    note.silent.insert("a".to_owned(), Silence { after: Some(place(7)), at: NOW });
    let whole = |position| note.is_whole("a", Some(position), NOW + HOUR, 24 * HOUR);
    assert!(whole(place(7)) && !whole(place(6)));
}

/// A shard of which nothing was ever read, wherever reading begins, and a run that was away for longer than the stream keeps
/// records → a gap; none if it was silent in between, or if nobody knows when reading began, which old notes tell of the
/// latest only.
#[test]
fn a_start_grows_old() {
    for more in ["", "start = \"latest\"", "start = \"at-timestamp\"\ntimestamp = \"2013-01-01T00:00:00Z\""] {
        let first = plan(more, None, NOW, &TREE[..1]).expect("a plan");
        let gaps = |note: &Note, hours| {
            let marks = resume(note, &[("a", mark(None, false))]);
            plan(more, Some(&marks), NOW + hours * HOUR, TREE).expect("a plan").gaps.len()
        };
        assert_eq!((gaps(&first.note, 22), gaps(&first.note, 25)), (0, 1), "{more}");
        let mut silent = first.note.clone();
        silent.silent.insert("a".to_owned(), Silence { after: None, at: NOW + 3 * HOUR });
        assert_eq!((gaps(&silent, 25), gaps(&silent, 27)), (0, 1), "{more}");
        let is_latest = usize::from(more.contains("latest"));
        assert_eq!(gaps(&Note { begun: None, ..first.note }, 25), is_latest, "{more}");
    }
}

/// Children that have not begun, of a parent that has ended → a gap if the last record of the parent is older than what the
/// stream keeps, however long ago reading began; none as long as the parent is to be read before them.
#[test]
fn children_grow_old() {
    let mut note = plan("", None, NOW - 100 * HOUR, &TREE[..1]).expect("a plan").note;
    note.since = ["b", "c"].map(|id| (id.to_owned(), NOW)).into();
    let gaps = |parent_is_done, hours| {
        let marks = [("a", mark(Some(9), parent_is_done)), ("b", mark(None, false)), ("c", mark(Some(3), false))];
        let plan = plan("", Some(&resume(&note, &marks)), NOW + hours * HOUR, TREE).expect("a plan");
        plan.gaps.into_iter().map(|gap| gap.shard).collect::<Vec<_>>()
    };
    assert_eq!((gaps(true, 22), gaps(true, 25)), (Vec::new(), vec!["b".to_owned()]));
    assert!(gaps(false, 25).is_empty());
}

/// Another stream, one that was created again, another kind of source and a changed `until` are refused, each by name.
#[test]
fn another_stream_is_refused() {
    let note = plan("", None, NOW, TREE).expect("a plan").note;
    let refused = |note: Note, more: &str| {
        let marks = resume(&note, &[("a", mark(Some(1), false))]);
        plan(more, Some(&marks), NOW, TREE).expect_err("not this one").to_string()
    };
    let other = |arn: &str, created| Note { stream: Identity { arn: arn.to_owned(), created }, ..note.clone() };
    assert!(refused(other("arn:other", 7), "").contains("is of the stream arn:other"));
    assert!(refused(other("arn:trips", 6), "").contains("deleted and created again"));
    assert!(refused(note.clone(), "until = \"tip\"").contains("without until = \"tip\""));
    let file = Resume { note: json!({"files": []}), splits: BTreeMap::from([("0".to_owned(), mark(None, false))]) };
    let error = plan("", Some(&file), NOW, TREE).expect_err("no stream").to_string();
    assert!(error.contains("not that of a Kinesis stream"), "{error}");
    // A run that ended before it left a note has read nothing.
    assert!(plan("", Some(&Resume::default()), NOW, TREE).is_ok());
}

/// A stream that was created again, and `on_gap = "skip"` → its shards are read from their first record, whatever the checkpoint
/// says of shards with the same ids; of the old stream each shard that had not ended is a gap, with what is known of its
/// time. A checkpoint that was made half way over says the same. Another stream is refused all the same.
#[test]
fn the_next_stream_begins_anew() {
    let old = plan("start = \"latest\"", None, NOW, TREE).expect("a plan").note;
    let old = Note { stream: Identity { created: 6, ..old.stream }, ..old };
    let mut silent = old.clone();
    silent.silent.insert("c".to_owned(), Silence { after: Some(number(6)), at: NOW + HOUR });
    let marks = [("a", mark(Some(9), true)), ("b", mark(None, false)), ("c", mark(Some(6), false))];
    let half_way = [("a@1", mark(None, false)), ("b@1", mark(None, false))];
    for marks in [marks.to_vec(), [&marks[..], &half_way[..]].concat()] {
        let next = plan("on_gap = \"skip\"", Some(&resume(&silent, &marks)), NOW + 2 * HOUR, TREE).expect("a plan");
        assert_eq!(places(&next), ["a oldest", "b oldest", "c oldest"]);
        assert_eq!((next.note.generation, next.note.part("a")), (1, "a@1".to_owned()));
        assert!(next.gone.is_empty() && next.note.start.is_none());
        // The stream is older than what it keeps.
        let kept_since = NOW + 2 * HOUR - 24 * HOUR;
        let gap = |shard: &str, after: Option<u64>, from: i64| Gap {
            shard: shard.to_owned(),
            stream: Some(old.stream.clone()),
            after: after.map(number),
            before: None,
            from_time: Some(from),
            to_time: Some(kept_since.max(from)),
            noticed_at: NOW + 2 * HOUR,
        };
        assert_eq!(next.gaps, [gap("b", None, NOW), gap("c", Some(6), NOW + HOUR)]);
        let again = [("a", mark(Some(9), true)), ("a@1", mark(Some(12), false)), ("b@1", mark(None, true))];
        let again = plan("on_gap = \"skip\"", Some(&resume(&next.note, &again)), NOW + 3 * HOUR, TREE).expect("a plan");
        assert_eq!((places(&again), again.gaps.len()), (vec!["a at 12".to_owned(), "c oldest".to_owned()], 0));
    }
    let other = Note { stream: Identity { arn: "arn:other".to_owned(), created: 7 }, ..old };
    let error = plan("on_gap = \"skip\"", Some(&resume(&other, &marks)), NOW, TREE).expect_err("another stream");
    assert!(error.to_string().contains("is of the stream arn:other"), "{error}");
}
