//! What becomes of a row: a message, with a subject, attributes, and what a FIFO topic goes by.

use super::settings::RowSettings;
use crate::format::columns::{Cell, Read, Reader};
use crate::requests::{Entry, Made, Rows};
use crate::row_id;
use crate::template::text;
use std::sync::Arc;
use wasmill_stream::Batch;
use wasmill_stream::checkpoint::Digest;
use xxhash_rust::xxh3::xxh3_64;

/// A message with its attributes, and all of a request: <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>.
const MESSAGE_BYTES: usize = 256 << 10;
/// A subject has fewer than 100 characters: <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatchRequestEntry.html>, as
/// the other rules here.
const SUBJECT_CHARS: usize = 99;
/// Characters of group ids and deduplication ids.
const ID_CHARS: usize = 128;

/// A message.
#[derive(Debug)]
pub struct Message {
    /// What it says.
    pub text: String,
    /// Its subject, if it has one.
    pub subject: Option<String>,
    /// Its attributes: name, whether it is a number, value.
    pub attributes: Vec<(String, bool, String)>,
    /// Group and deduplication id, for a FIFO topic.
    pub fifo: Option<(String, String)>,
}

/// Makes messages of rows.
pub struct Messages {
    settings: RowSettings,
    reader: Reader,
    job: String,
}

impl Messages {
    /// Of the rows of a job.
    pub fn new(settings: RowSettings, job: String) -> Self {
        Self { reader: Reader::new(settings.fields.columns.clone()), settings, job }
    }
}

impl Rows for Messages {
    type Item = Message;

    fn of(&mut self, batch: &Arc<Batch>) -> Vec<Made<Message>> {
        let ids = if self.settings.is_fifo { row_id::of(&self.job, batch) } else { Vec::new() };
        let read = self.reader.read(&batch.values);
        let (settings, job) = (&self.settings, self.job.as_str());
        let message = |row: usize| {
            if let Some(reason) = read.refusal(row) {
                return Err(reason.to_owned());
            }
            for condition in &settings.filter {
                if !condition.holds(row, &read)? {
                    return Ok(Made::Nothing);
                }
            }
            let id = ids.get(row).map(String::as_str);
            settings.message(batch, row, &read, job, id).map(Made::Item)
        };
        (0..batch.len()).map(|row| message(row).unwrap_or_else(Made::Refused)).collect()
    }
}

impl RowSettings {
    fn message(
        &self,
        batch: &Arc<Batch>,
        row: usize,
        read: &Read<'_>,
        job: &str,
        id: Option<&str>,
    ) -> Result<Entry<Message>, String> {
        let said = match &self.message {
            Some(template) => template.fill(batch, row, read)?,
            None => std::str::from_utf8(batch.values.get(row)).map_err(|_| "not UTF-8")?.to_owned(),
        };
        if said.is_empty() {
            return Err("the message is empty".to_owned());
        }
        let subject = self.subject.as_ref().map(|template| template.fill(batch, row, read)).transpose()?;
        let mut attributes = Vec::new();
        for (name, field) in &self.attributes {
            let cell = read.cell(*field, row)?;
            let is_number = matches!(cell, Cell::Json([b'-' | b'0'..=b'9', ..]));
            // The service takes no empty ones.
            let value = text(cell).filter(|value| !value.is_empty());
            attributes.extend(value.map(|value| (name.clone(), is_number, value.into_owned())));
        }
        let fifo = match id {
            Some(id) => Some((self.group(batch, row, read, job)?, self.dedup(row, read, id)?)),
            None => None,
        };
        let bytes = said.len() + attributes.iter().map(|(name, _, value)| name.len() + 6 + value.len()).sum::<usize>();
        if bytes > MESSAGE_BYTES {
            return Err("larger than the 256 KiB that SNS takes".to_owned());
        }
        // Messages of a group arrive in the order in which they came.
        let order = fifo.as_ref().map(|(group, _)| xxh3_64(group.as_bytes()));
        let message = Message { text: said, subject: subject.and_then(|subject| fit(&subject)), attributes, fifo };
        Ok(Entry::new(message, batch, row, bytes, order))
    }

    /// Of which group a message is: that of its field, or of its key, or all of the job's messages are one.
    fn group(&self, batch: &Batch, row: usize, read: &Read<'_>, job: &str) -> Result<String, String> {
        let group = match (self.group, batch.key(row)) {
            (Some(field), _) => text(read.cell(field, row)?).ok_or("the group id is missing")?.into_owned(),
            (None, Some(key)) => String::from_utf8_lossy(key).into_owned(),
            (None, None) => job.to_owned(),
        };
        Ok(id_of(&group))
    }

    fn dedup(&self, row: usize, read: &Read<'_>, id: &str) -> Result<String, String> {
        match self.dedup {
            Some(field) => Ok(id_of(&text(read.cell(field, row)?).ok_or("the deduplication id is missing")?)),
            None => Ok(Digest::of(id.as_bytes()).to_string()),
        }
    }
}

/// A text as it is, or its hash where the service takes no such id.
fn id_of(text: &str) -> String {
    let fits = (1..=ID_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { text.to_owned() } else { Digest::of(text.as_bytes()).to_string() }
}

/// A subject as the service takes it: an alarm is not lost because of what its subject says.
fn fit(subject: &str) -> Option<String> {
    let plain = |c: char| match c {
        ' '..='~' => c,
        c if c.is_control() => ' ',
        _ => '?',
    };
    let plain: String = subject.chars().map(plain).collect();
    let plain = plain.trim();
    match plain.len() {
        0 => None,
        // All of it is ASCII.
        1..=SUBJECT_CHARS => Some(plain.to_owned()),
        _ => Some(format!("{}...", plain.get(..SUBJECT_CHARS - 3).unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Subjects with line breaks, other letters, or too many of them → subjects that the service takes.
    #[test]
    fn subjects_fit() {
        assert_eq!(fit("high\r\nÄ\tok\n").as_deref(), Some("high  ? ok"));
        assert_eq!(fit(" \n"), None);
        assert_eq!(fit(&"x".repeat(99)), Some("x".repeat(99)));
        assert_eq!(fit(&"é".repeat(300)), Some(format!("{}...", "?".repeat(96))));
    }

    /// Ids that the service does not take become others, the same each time.
    #[test]
    fn ids_fit() {
        assert_eq!(id_of("taxi-7"), "taxi-7");
        for bad in ["", "a b", "é", &"x".repeat(129)] {
            let id = id_of(bad);
            assert!(id == id_of(&id) && id == id_of(bad), "{id}");
        }
    }
}
