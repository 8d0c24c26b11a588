//! What was asked of a host, by whom, and what came of it: a line of JSON for each change, each look at records and each
//! refusal, in a file that is only ever added to. No change without a line: while none can be written, none is made.

use super::rate::Rate;
use super::status::moment;
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};
use wasmill_stream::{Error, Result};

/// So many refusals have lines of their own at once; after that one in a second. The others are counted.
const REFUSALS: u32 = 100;

/// The lines about a host.
pub struct Audit {
    path: PathBuf,
    refusals: Rate<()>,
    state: Mutex<Written>,
}

/// What is not in the file yet.
#[derive(Default)]
struct Written {
    /// Lines that could not be written.
    pending: Vec<u8>,
    /// Refusals without a line since the last one that had one.
    untold: u64,
}

/// What was asked, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Deed {
    /// The name of the token; `loopback`; or `uid` and its number.
    pub who: String,
    /// The beginning of the token's digest: there may have been others of its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// From where.
    pub peer: String,
    /// What it takes, if that was found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verb: Option<&'static str>,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The job that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The digest of what came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_sha256: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    #[serde(flatten)]
    deed: &'a Deed,
    /// Refusals before this one that have no line.
    #[serde(skip_serializing_if = "is_none")]
    untold: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Audit {
    /// In this file, which others may not read.
    pub fn new(path: PathBuf) -> Self {
        Self { path, refusals: Rate::new(REFUSALS, 1.0), state: Mutex::default() }
    }

    /// Whether what comes can be written. Blocks.
    pub fn ready(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.flush(&mut state)
    }

    /// Writes a line, to the disk. One that cannot be written is kept for the next time. Blocks.
    pub fn tell(&self, deed: &Deed) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = std::mem::take(&mut state.untold);
        let line = Line { at: moment(SystemTime::now()), deed, untold };
        serde_json::to_writer(&mut state.pending, &line)
            .map_err(|error| Error::internal(format!("write a line: {error}")))?;
        state.pending.push(b'\n');
        self.flush(&mut state)
    }

    /// Writes a line about something that was refused, or counts it if there were many of late. Blocks.
    pub fn refuse(&self, deed: &Deed) -> Result<()> {
        let is_told = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            // What waits for a disk must not grow without an end.
            let is_told = state.pending.is_empty() && self.refusals.take((), Instant::now()).is_ok();
            state.untold += u64::from(!is_told);
            is_told
        };
        if is_told { self.tell(deed) } else { Ok(()) }
    }

    /// The file is opened each time: somebody may have moved it away, as log rotation does.
    fn flush(&self, state: &mut Written) -> Result<()> {
        let failed = |error| Error::unavailable(format!("write {}", self.path.display())).with_source(error);
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path).map_err(failed)?;
        if state.pending.is_empty() {
            return Ok(());
        }
        // At once: lines of two hosts by mistake must not run into each other.
        file.write_all(&state.pending).and_then(|()| file.sync_data()).map_err(failed)?;
        state.pending.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn deed(status: u16) -> Deed {
        Deed {
            who: "ci".to_owned(),
            token: Some("0123".to_owned()),
            peer: "127.0.0.1:5".to_owned(),
            verb: Some("operate"),
            method: "POST".to_owned(),
            path: "/p\n".to_owned(),
            job: None,
            body_sha256: None,
            status,
            error: None,
        }
    }

    fn lines(audit: &Audit) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(&audit.path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Deeds, some of them while the file cannot be written → no line is lost, and nothing else may be done until it is there.
    #[test]
    fn no_line_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = Audit::new(folder.path().join("sub/audit.jsonl"));
        assert!(audit.ready().is_err() && audit.tell(&deed(200)).is_err() && audit.ready().is_err());
        fs::create_dir(folder.path().join("sub")).expect("a folder");
        audit.ready().expect("it can be written now");
        fs::rename(&audit.path, folder.path().join("audit-1.jsonl")).expect("rotated");
        audit.tell(&deed(202)).expect("written");
        let first = fs::read_to_string(folder.path().join("audit-1.jsonl")).expect("it is there");
        assert!(first.contains("\"status\":200") && first.ends_with("}\n"), "{first}");
        let [line] = &lines(&audit)[..] else { panic!("one line") };
        assert_eq!((&line["status"], &line["path"]), (&202.into(), &"/p\n".into()));
    }

    /// Far more refusals than anybody reads → a line each at first; then they are counted, and the next line says so.
    #[test]
    fn a_flood_of_refusals() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = Audit::new(folder.path().join("audit.jsonl"));
        for _ in 0..REFUSALS + 50 {
            audit.refuse(&deed(401)).expect("written or counted");
        }
        audit.tell(&deed(200)).expect("written");
        let lines = lines(&audit);
        let told: u64 = lines.len() as u64 - 1;
        let untold: u64 = lines.iter().filter_map(|line| line["untold"].as_u64()).sum();
        assert_eq!(told + untold, u64::from(REFUSALS) + 50);
        assert!(untold > 0, "{untold}");
    }
}
