//! What an archive has of a source, by the footers of its files: which files to read in which order, and which splits there are.

use super::footer::Footer;
use super::order::Order;
use super::place::{Found, Place};
use super::rows::{Layout, Tail};
use super::settings::Settings;
use crate::time_pattern::STEP_MILLIS;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmill_stream::checkpoint::SplitMark;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Error, ErrorKind, Position, Result};

/// How many footers are read at a time.
const AT_A_TIME: usize = 16;
/// What is read of the end of a file at first.
const TAIL: u64 = 64 << 10;

/// What there is to read.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The files in their order.
    pub files: Vec<Entry>,
    /// The splits that have records in the time that is asked for.
    pub splits: BTreeMap<String, Span>,
    /// The last file, whether there is something to read in it or not.
    pub newest: Option<Order>,
}

/// A file to read.
#[derive(Debug)]
pub struct Entry {
    /// Which.
    pub found: Found,
    /// Where it stands.
    pub order: Order,
}

/// The records of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The splits that it goes on after.
    pub parents: Vec<String>,
    /// The first file that has any.
    pub first: Order,
    /// The last of them.
    pub last: (Order, Position),
}

/// What a run knows from the one before.
pub struct Before<'b> {
    /// The last file that it may read: what has become visible since is not part of what it began to read.
    pub newest: Option<Order>,
    /// How far each split is.
    pub marks: &'b BTreeMap<String, SplitMark>,
}

impl Catalog {
    /// Reads all footers.
    pub async fn read(
        place: &Place,
        settings: &Settings,
        before: &Before<'_>,
        ledger: &Arc<StepLedger>,
    ) -> Result<Self> {
        let mut found = place.list(&format!("source={}/", settings.source)).await?;
        if found.is_empty() {
            return Err(nothing(place, settings).await);
        }
        found.retain(|found| hour(&found.name).is_none_or(|hour| settings.from < hour.saturating_add(STEP_MILLIS)));
        let footers = stream::iter(found).map(async |found| {
            let footer = footer(place, &found, ledger).await?.footer;
            Ok::<_, Error>((found, footer))
        });
        let mut catalog = Self::default();
        let mut footers = footers.buffered(AT_A_TIME);
        while let Some((found, footer)) = footers.try_next().await? {
            catalog.add(found, footer, settings, before, place)?;
        }
        catalog.files.sort_by_key(|file| file.order);
        match catalog.files.windows(2).find(|pair| pair[0].order == pair[1].order) {
            None => Ok(catalog),
            Some(pair) => {
                let [one, other] = [&pair[0], &pair[1]].map(|entry| place.name(&entry.found.name));
                let message = format!("{one} and {other} stand at the same place in their archive");
                Err(Error::new(ErrorKind::Corrupt, message).hint("does more than one job write this archive?"))
            }
        }
    }

    fn add(
        &mut self,
        found: Found,
        footer: Footer,
        settings: &Settings,
        before: &Before<'_>,
        place: &Place,
    ) -> Result<()> {
        let Footer { source, order, arrived: [first, last], splits, .. } = footer;
        if source != settings.source {
            let message = format!("{} has records of the source {source}", place.name(&found.name));
            return Err(Error::new(ErrorKind::Corrupt, message).hint("somebody has moved it"));
        }
        if before.newest.is_some_and(|newest| newest < order) {
            return Ok(());
        }
        self.newest = self.newest.max(Some(order));
        if last < settings.from || settings.until.is_some_and(|until| first >= until) {
            return Ok(());
        }
        // Numbers may begin anew in each run of a job: only who reads them all knows.
        let is_behind = |part: &String, last: Position| {
            let position = before.marks.get(part).and_then(|mark| mark.position);
            matches!(last, Position::Sequence(_)) && position >= Some(last)
        };
        let is_read = splits.iter().all(|(part, share)| is_behind(part, share.last));
        for (part, share) in splits {
            let span = self.splits.entry(part).or_insert_with(|| Span {
                parents: Vec::new(),
                first: order,
                last: (order, share.last),
            });
            // A run that went on late may not have heard of them.
            if span.parents.len() < share.parents.len() {
                span.parents = share.parents;
            }
            span.first = span.first.min(order);
            let is_later = match share.last {
                // Whoever comes by numbers that begin anew has to see them.
                Position::Number(_) => order > span.last.0,
                // What is there again does not come again.
                last => last > span.last.1 || (last == span.last.1 && order < span.last.0),
            };
            if is_later {
                span.last = (order, share.last);
            }
        }
        if !is_read {
            self.files.push(Entry { found, order });
        }
        Ok(())
    }
}

/// Reads the footer of a file.
pub async fn footer(place: &Place, found: &Found, ledger: &Arc<StepLedger>) -> Result<Layout> {
    let damaged = |message: String| damaged(place, found, &message);
    let mut length = found.bytes.min(TAIL);
    for _ in 0..2 {
        let bytes: Bytes = place.read(&found.name, found.bytes - length..found.bytes, ledger).await?;
        let size = found.bytes;
        // It may be long.
        let read = tokio::task::spawn_blocking(move || Layout::read(&bytes, size)).await;
        match read.map_err(|_| damaged("its footer cannot be read".to_owned()))?.map_err(damaged)? {
            Tail::Whole(layout) => return Ok(*layout),
            Tail::Needs(more) => length = more,
        }
    }
    Err(damaged("its footer has no end".to_owned()))
}

/// A file that is not what was written.
pub fn damaged(place: &Place, found: &Found, message: &str) -> Error {
    let message = format!("{}: {message}", place.name(&found.name));
    let hint =
        "put the file back as it was; without it, its records are missing: `from` and `until` leave out its time";
    Error::new(ErrorKind::Corrupt, message).hint(hint)
}

/// The hour that a name tells, in milliseconds. Its records arrived in that hour or before.
fn hour(name: &str) -> Option<i64> {
    let mut folders = name.split('/').skip(1);
    let date: Date = folders.next()?.strip_prefix("date=")?.parse().ok()?;
    let hour: i8 = folders.next()?.strip_prefix("hour=")?.parse().ok()?;
    let time = jiff::civil::Time::new(hour, 0, 0, 0).ok()?;
    Some(TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok()?.as_millisecond())
}

/// There is nothing of a source.
async fn nothing(place: &Place, settings: &Settings) -> Error {
    let sources = place.list("").await.map(|found| {
        let source = |found: &Found| Some(found.name.split('/').next()?.strip_prefix("source=")?.to_owned());
        found.iter().filter_map(source).collect::<std::collections::BTreeSet<_>>()
    });
    let source = &settings.source;
    let error = Error::invalid(format!("{} has no archive of a source `{source}`", place.name("")));
    match sources {
        Ok(sources) if sources.is_empty() => {
            error.hint("is it the folder of an [archive], and has a checkpoint been made?")
        }
        Ok(sources) => {
            let known = sources.into_iter().collect::<Vec<_>>().join("`, `");
            error.hint(format!("it has `{known}`: name one with `source`"))
        }
        Err(_) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a name tells of its hour; one that tells nothing is looked into.
    #[test]
    fn hours() {
        let name = "source=trips/date=2013-01-01/hour=01/part-1.parquet";
        assert_eq!(hour(name), Some(1_357_002_000_000));
        for name in
            ["", "source=trips/x.parquet", "source=t/date=2013-13-01/hour=01/x", "source=t/date=2013-01-01/hour=24/x"]
        {
            assert_eq!(hour(name), None, "{name}");
        }
    }
}
