//! A table `[sink.NAME]`: its input is read here, the rest by its kind. And `[dead_letter]`, which is one without input.

use super::draft::{DeadLetterSettings, DraftNode, Role, Settings, read_inputs};
use super::source::unknown_kind;
use std::time::Duration;
use wasmill_connect::{SINKS, SinkKind};
use wasmill_engine::{DEAD_LETTERS, DeadLetters, Refusable, SinkTerms};
use wasmill_stream::access::Reach;
use wasmill_stream::config::{Place, Problems, Section};
use wasmill_stream::sink::{OnOutage, Sink};
use wasmill_stream::units::{ByteCount, Period};

/// How long rows wait in an outage before they become dead letters, where they do.
const OUTAGE: Duration = Duration::from_secs(60);

/// Reads it. `has_dead_letters`: whether the job keeps them.
pub fn read(name: String, mut table: Section<'_>, has_dead_letters: bool, problems: &mut Problems) -> DraftNode {
    let place = table.place();
    let inputs = read_inputs(&mut table, problems);
    let kind = kind(&mut table, SINKS, problems);
    let settings = kind.and_then(|kind| {
        let sink = (kind.check)(&name, &mut table, problems);
        let terms = read_terms(&mut table, sink.as_deref(), has_dead_letters, problems);
        Some(Settings::Sink { kind: kind.name, sink: sink?, terms })
    });
    // Without a kind nobody has asked for the keys of that kind, and all would be called unknown.
    if kind.is_some() {
        table.finish(problems);
    }
    DraftNode { name, place, role: Role::Sink, inputs, settings }
}

/// Reads the table `[dead_letter]`: a sink without a name and input of its own.
pub fn read_dead_letters(mut table: Section<'_>, problems: &mut Problems) -> Option<DeadLetterSettings> {
    let late = table.optional("late", problems).unwrap_or(false);
    let kind = kind(&mut table, SINKS, problems)?;
    let sink = (kind.check)(DEAD_LETTERS, &mut table, problems);
    if sink.as_ref().is_some_and(|sink| !sink.keeps_rows()) {
        let message =
            "dead_letter: a dead letter may hold anything, and this sink does not keep whatever comes as it is";
        problems.push_hint(table.place(), message, "write them as JSON: `wasmill dead-letter` reads nothing else");
    }
    let terms = read_waiting_terms(&mut table, problems);
    table.finish(problems);
    Some(DeadLetterSettings { kind: kind.name, dead_letters: DeadLetters { sink: sink?, terms, late } })
}

/// What is the same for all kinds. `sink`: what its own settings have made of it, if they are right.
fn read_terms(
    table: &mut Section<'_>,
    sink: Option<&dyn Sink>,
    has_dead_letters: bool,
    problems: &mut Problems,
) -> SinkTerms {
    let on_outage = table.located::<String>("on_outage", problems);
    let after = table.located::<Period>("outage_after", problems);
    let on_outage = match on_outage {
        Some((policy, place)) if policy == "dead-letter" => {
            check_giving_up(table, place, sink, has_dead_letters, problems);
            OnOutage::DeadLetter { after: after.map_or(OUTAGE, |(after, _)| after.duration()) }
        }
        other => {
            if let Some((policy, place)) = other.filter(|(policy, _)| policy != "wait") {
                let message = format!("{}: `on_outage`: \"{policy}\" is unknown", table.title());
                problems.push_hint(place, message, "\"wait\" or \"dead-letter\"");
            } else if let Some((_, place)) = after {
                let message = format!("{}: `outage_after` needs on_outage = \"dead-letter\"", table.title());
                problems.push_hint(place, message, "otherwise rows wait for as long as it takes");
            }
            OnOutage::Wait
        }
    };
    let refusable = table.table("refusals", problems).map(|table| read_refusable(table, problems));
    SinkTerms { queue: read_queue(table, problems), on_outage, refusable: refusable.unwrap_or_default() }
}

/// Whether rows can be given up, and are not lost then.
fn check_giving_up(
    table: &Section<'_>,
    place: Place,
    sink: Option<&dyn Sink>,
    has_dead_letters: bool,
    problems: &mut Problems,
) {
    if !has_dead_letters {
        let message = format!("{}: on_outage = \"dead-letter\" needs a sink for the dead letters", table.title());
        problems.push_hint(place.clone(), message, "add a table [dead_letter]");
    }
    if sink.is_some_and(|sink| !sink.gives_up()) {
        let message = format!("{}: this sink cannot give rows up: in an outage they wait", table.title());
        let hint = "leave `on_outage` out: what it has begun is made visible by checkpoints, all of it or nothing";
        problems.push_hint(place, message, hint);
    }
}

/// The terms of a sink for which rows always wait.
pub fn read_waiting_terms(table: &mut Section<'_>, problems: &mut Problems) -> SinkTerms {
    SinkTerms { queue: read_queue(table, problems), ..SinkTerms::default() }
}

fn read_queue(table: &mut Section<'_>, problems: &mut Problems) -> ByteCount {
    table.optional("queue_bytes", problems).unwrap_or(SinkTerms::default().queue)
}

fn read_refusable(mut table: Section<'_>, problems: &mut Problems) -> Refusable {
    let mut refusable = Refusable::default();
    if let Some((share, place)) = table.located::<f64>("share", problems) {
        if !(0.0..=1.0).contains(&share) {
            problems.push(place, format!("{}: `share` is {share}, expected 0.0 to 1.0", table.title()));
        }
        refusable.share = share;
    }
    if let Some(period) = table.optional::<Period>("period", problems) {
        refusable.period = period.duration();
    }
    table.finish(problems);
    refusable
}

/// The kind of a sink that a table names, of those in a list.
pub fn kind(table: &mut Section<'_>, kinds: &'static [SinkKind], problems: &mut Problems) -> Option<&'static SinkKind> {
    let (wanted, place) = table.required_located::<String>("type", problems)?;
    let found = kinds.iter().find(|kind| kind.name == wanted);
    if found.is_some() {
        table.reach(Reach::Sink(&wanted), place.clone(), problems);
    }
    if found.is_none() {
        unknown_kind(table, &wanted, place, kinds.iter().map(|kind| kind.name), problems);
    }
    found
}
