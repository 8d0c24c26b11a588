//! The log files of tenants: `HOME/tenants/TENANT/logs/wasmill.jsonl`, a JSON object a line. A full one becomes `wasmill.1.jsonl`,
//! that one `wasmill.2.jsonl`, and so on; the oldest goes. One thread writes them all, and whoever logs never waits for it.

use crate::serve::Home;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use wasmill_stream::{Error, Result};

/// How large a file becomes.
const SIZE: u64 = 8 << 20;
/// How many are kept behind the one that is written.
const OLDER: u32 = 4;
/// How many lines may wait for the disk.
const WAITING: usize = 4_096;
/// How many files are open at a time.
const OPEN: usize = 128;

/// The way to the thread that writes.
#[derive(Debug)]
pub struct Files(SyncSender<(String, String)>);

impl Files {
    /// Starts the thread, for the tenants of a host.
    pub fn start(home: Home) -> Result<Self> {
        let (sender, lines) = sync_channel(WAITING);
        let writer = std::thread::Builder::new().name("wasmill-logs".to_owned()).spawn(move || write(&home, &lines));
        writer.map_err(|error| Error::unavailable("start the thread of the log files").with_source(error))?;
        Ok(Self(sender))
    }

    /// Hands over a line of a tenant. If the disk does not keep up, it is not written.
    pub fn write(&self, tenant: &str, line: String) {
        let _ = self.0.try_send((tenant.to_owned(), line));
    }
}

fn write(home: &Home, lines: &Receiver<(String, String)>) {
    let mut open: HashMap<String, Rotated> = HashMap::new();
    // What fails here cannot be logged: it would come back here. The host's own log has the line, too.
    while let Ok((tenant, line)) = lines.recv() {
        if open.len() >= OPEN && !open.contains_key(&tenant) {
            open.clear();
        }
        if !open.contains_key(&tenant)
            && let Ok(file) = Rotated::open(&home.tenant(&tenant).join("logs"), SIZE)
        {
            open.insert(tenant.clone(), file);
        }
        let written = open.get_mut(&tenant).map(|file| file.line(&line));
        if matches!(written, Some(Err(_))) {
            open.remove(&tenant);
        }
    }
}

/// A file that makes room for another when it is full.
struct Rotated {
    folder: PathBuf,
    file: File,
    bytes: u64,
    size: u64,
}

impl Rotated {
    fn open(folder: &Path, size: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let file = OpenOptions::new().create(true).append(true).open(name(folder, 0))?;
        let bytes = file.metadata()?.len();
        Ok(Self { folder: folder.to_owned(), file, bytes, size })
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + line.len() as u64 >= self.size {
            for number in (0..OLDER).rev() {
                match fs::rename(name(&self.folder, number), name(&self.folder, number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            *self = Self::open(&self.folder, self.size)?;
        }
        // In one call: a crash does not leave half a line with the next one behind it.
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.bytes += line.len() as u64 + 1;
        Ok(())
    }
}

fn name(folder: &Path, number: u32) -> PathBuf {
    match number {
        0 => folder.join("wasmill.jsonl"),
        number => folder.join(format!("wasmill.{number}.jsonl")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines for more files than are kept, over two openings → the last files, each within its size, and no line in two.
    #[test]
    fn old_files_go() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("logs");
        for half in 0..2 {
            let mut file = Rotated::open(&folder, 100).expect("a file");
            (0..50).for_each(|number| file.line(&format!("line {half} {number:04}")).expect("it can be written"));
        }
        let mut lines = Vec::new();
        for number in (0..=OLDER).rev() {
            let text = fs::read_to_string(name(&folder, number)).expect("it is there");
            assert!(text.len() <= 100, "{}", text.len());
            lines.extend(text.lines().map(str::to_owned));
        }
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), OLDER as usize + 1);
        let first = 50 - lines.len();
        let expected: Vec<_> = (first..50).map(|number| format!("line 1 {number:04}")).collect();
        assert_eq!(lines, expected);
    }
}
