//! Parts whose rows are all there before they are begun. They lie hidden in the folder until they get their names, maybe in
//! folders below it.

use super::Staging;
use crate::disk::failed;
use crate::file::part::{Part, Style};
use crate::file::prepared::Entry;
use wasmill_stream::Result;

impl Staging {
    /// Begins a part whose rows are all there already, below folders that are created when it gets its name.
    pub(in crate::file) fn begin_whole(&mut self, prefix: &str) -> Result<Part> {
        let name = self.names.part(self.next, self.format().suffix());
        self.next += 1;
        let unfinished = self.folder.join(self.names.hidden(&name));
        let path = self.folder.join(prefix).join(name);
        let created = Part::create(path, unfinished.clone(), Style::default(), false, self.clock);
        created.map_err(|error| failed("create", &unfinished, error))
    }

    /// Puts such a part on the disk, for the next checkpoint. After an error another call goes on where it was.
    pub(in crate::file) fn finish_whole(&mut self, part: &mut Part) -> Result<()> {
        let progress = part.sync()?;
        self.finished.push(Entry::of(part, &self.folder, progress));
        Ok(())
    }
}
