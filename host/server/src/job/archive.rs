//! The table `[archive]`, a sink whose inputs are the sources that say `archive = true`.

use super::draft::{DraftNode, Role, Settings};
use super::sink;
use wasmill_connect::ARCHIVES;
use wasmill_engine::ARCHIVE;
use wasmill_stream::config::{Place, Problems, Section};

/// Whether a source is to be archived: its name, and where it says so.
pub fn read_wish(name: &str, table: &mut Section<'_>, problems: &mut Problems) -> Option<(String, Place)> {
    let (wanted, place) = table.located::<bool>("archive", problems)?;
    wanted.then(|| (name.to_owned(), place))
}

/// Whether it makes sense to archive a source.
pub fn can_be(node: &DraftNode, (name, place): &(String, Place), problems: &mut Problems) -> bool {
    let is_archive = matches!(&node.settings, Some(Settings::Source(source)) if source.kind == ARCHIVE);
    if is_archive {
        let message = format!("source {name}: its records are in an archive already");
        problems.push_hint(place.clone(), message, "leave `archive = true` out: files can be copied as they are");
    }
    !is_archive
}

/// Reads the table for these sources.
pub fn read(table: Option<Section<'_>>, archived: Vec<(String, Place)>, problems: &mut Problems) -> Option<DraftNode> {
    let Some(mut table) = table else {
        for (source, place) in archived {
            let message = format!("source {source}: `archive` needs a table [archive] that says where records go");
            let hint = "for example [archive] with type = \"s3\", bucket = \"my-bucket\" and prefix = \"archive/\"; or with \
                        type = \"file\" and path = \"archive\"";
            problems.push_hint(place, message, hint);
        }
        return None;
    };
    let place = table.place();
    if archived.is_empty() {
        let message = "no source is archived".to_owned();
        problems.push_hint(
            place.clone(),
            message,
            "write archive = true into the [source.NAME] whose records are to be kept",
        );
    }
    let kind = sink::kind(&mut table, ARCHIVES, problems);
    let settings = kind.and_then(|kind| {
        let sink = (kind.check)(ARCHIVE, &mut table, problems);
        Some(Settings::Sink { kind: kind.name, terms: sink::read_waiting_terms(&mut table, problems), sink: sink? })
    });
    if kind.is_some() {
        table.finish(problems);
    }
    Some(DraftNode { name: ARCHIVE.to_owned(), place, role: Role::Archive, inputs: archived, settings })
}
