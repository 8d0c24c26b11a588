//! A table `[sink.NAME]`: its input is read here, the rest by its kind. And `[dead_letter]`, which is one without input.

use super::draft::{DeadLetterSettings, DraftNode, Role, Settings, read_inputs};
use super::source::unknown_kind;
use wasmill_connect::{SINKS, SinkKind};
use wasmill_engine::{DEAD_LETTERS, DeadLetters};
use wasmill_stream::access::Reach;
use wasmill_stream::config::{Problems, Section};

/// Reads it.
pub fn read(name: String, mut table: Section<'_>, problems: &mut Problems) -> DraftNode {
    let place = table.place();
    let inputs = read_inputs(&mut table, problems);
    let kind = kind(&mut table, problems);
    let settings = kind.and_then(|kind| {
        let sink = (kind.check)(&name, &mut table, problems)?;
        Some(Settings::Sink { kind: kind.name, sink })
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
    let kind = kind(&mut table, problems)?;
    let sink = (kind.check)(DEAD_LETTERS, &mut table, problems);
    if sink.as_ref().is_some_and(|sink| !sink.keeps_rows()) {
        let message = "dead_letter: a dead letter may hold anything, and one that fits no columns would be lost";
        problems.push_hint(table.place(), message, "write them as JSON: `wasmill dead-letter` reads nothing else");
    }
    table.finish(problems);
    Some(DeadLetterSettings { kind: kind.name, dead_letters: DeadLetters { sink: sink?, late } })
}

fn kind(table: &mut Section<'_>, problems: &mut Problems) -> Option<&'static SinkKind> {
    let (wanted, place) = table.required_located::<String>("type", problems)?;
    let found = SINKS.iter().find(|kind| kind.name == wanted);
    if found.is_some() {
        table.reach(Reach::Sink(&wanted), place.clone(), problems);
    }
    if found.is_none() {
        unknown_kind(table, &wanted, place, SINKS.iter().map(|kind| kind.name), problems);
    }
    found
}
