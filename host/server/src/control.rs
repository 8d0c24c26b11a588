//! How a running job is told what to do: a line of JSON in, a line of JSON out, over a Unix socket that only the user who
//! runs the job can reach. Its place follows from that of the job file, so whoever names the file finds the job.

use crate::explain::Explanation;
use crate::job::{JobFile, OpenWindows, Origin};
use crate::live::history::{Event, Reason};
use serde::{Deserialize, Serialize};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use wasmill_stream::key::KEY_GROUPS;
use wasmill_stream::{Error, Result};

/// A request may be so long, bytes.
const LONGEST: u64 = 64 << 10;

/// How long a client may take to say what it wants. It is a program, and has it ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it is waited after a client could not be heard.
const AGAIN: Duration = Duration::from_millis(100);

/// What a job is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Replace the plugin of a step, or try another one.
    Swap {
        /// The step, or the source whose decoder it is.
        step: String,
        /// The component, or the folder of its source. A path is absolute: the job may run in another folder.
        plugin: Origin,
        /// The names of what is approved for it.
        grants: Vec<String>,
        /// How it comes.
        entry: Entry,
        /// Who wants it, and why.
        reason: Reason,
    },
    /// End the trial of a step.
    Settle {
        /// The step.
        step: String,
        /// Whether the version on trial takes over.
        promote: bool,
        /// Who wants it, and why.
        reason: Reason,
    },
    /// Say how the trial of a step stands.
    Trial {
        /// The step.
        step: String,
    },
    /// Put the version before back.
    RollBack {
        /// The step.
        step: String,
        /// Whether the job goes back as well to where it was before the other version came; else the state stays as it is.
        rewind: bool,
        /// Who wants it, and why.
        reason: Reason,
    },
    /// Apply the job file as it is now.
    Apply {
        /// Who wants it, and why.
        reason: Reason,
    },
    /// Say what has become of the plugins.
    History,
    /// Say which windows of a step are open, and what holds them.
    Explain {
        /// The step.
        step: String,
        /// Only those of this key.
        key: Option<String>,
    },
}

/// How a version comes, see [`crate::live::Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Entry {
    /// It takes over. The probation in milliseconds, and what becomes of open windows; `None`: as the job file says.
    #[allow(missing_docs)]
    TakeOver { probation: Option<u64>, open_windows: Option<OpenWindows> },
    /// It is compared for so many milliseconds.
    Shadow(u64),
    /// It answers for so many of the 1,024 key groups.
    Canary(u64),
}

/// What it answers, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// What was done.
    Done(String),
    /// Why nothing was.
    Refused(String),
    /// What has become of the plugins, the oldest first.
    Events(Vec<Event>),
    /// Which windows are open, and what holds them.
    Explained(Box<Explanation>),
}

/// The job's end. Goes away with it.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Listens for requests to the job of a file. Needs a tokio runtime.
    pub async fn listen(file: &JobFile) -> Result<Self> {
        let paths = sockets(file.path())?;
        for path in &paths {
            if UnixStream::connect(path).await.is_ok() {
                let message =
                    format!("another process runs {} and listens on {}", file.path().display(), path.display());
                return Err(Error::unavailable(message));
            }
        }
        let nowhere = || Error::invalid("neither HOME nor XDG_RUNTIME_DIR is set");
        let path = paths.into_iter().next().ok_or_else(nowhere)?;
        let failed = |error| Error::unavailable(format!("listen on {}", path.display())).with_source(error);
        // Left over from a process that was killed.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        if let Some(folder) = path.parent() {
            let failed = |error| Error::unavailable(format!("make {}", folder.display())).with_source(error);
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
            tidy(folder, PATIENCE).await;
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path })
    }

    /// The next client. It has yet to say what it wants.
    pub async fn accept(&self) -> Client {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return Client(stream),
                // Such as too many open files: that passes.
                Err(_) => sleep(AGAIN).await,
            }
        }
    }
}

/// Whoever has connected.
pub struct Client(UnixStream);

impl Client {
    /// What it wants, with the way to answer it. `None`: it has said nothing that can be read, and was told so.
    pub async fn request(self) -> Option<(Request, Reply)> {
        self.request_within(PATIENCE).await
    }

    async fn request_within(self, patience: Duration) -> Option<(Request, Reply)> {
        let mut stream = BufReader::new(self.0);
        let mut line = String::new();
        let read = timeout(patience, (&mut stream).take(LONGEST).read_line(&mut line)).await;
        let reply = Reply(stream.into_inner());
        let request = match read {
            Ok(Ok(_)) => serde_json::from_str(&line).map_err(|error| format!("not a request: {error}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no request within {patience:?}")),
        };
        match request {
            Ok(request) => Some((request, reply)),
            Err(reason) => {
                reply.send(&Answer::Refused(reason)).await;
                None
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // The next one removes it otherwise.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The way to answer a request.
pub struct Reply(UnixStream);

impl Reply {
    /// Answers. A client that has gone does not want to know.
    pub async fn send(mut self, answer: &Answer) {
        if let Ok(mut line) = serde_json::to_vec(answer) {
            line.push(b'\n');
            let _ = timeout(PATIENCE, self.0.write_all(&line)).await;
        }
    }
}

/// How many key groups a share such as `10%` is: at least one, not all.
pub fn key_groups(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    match number.filter(|percent| *percent > 0.0 && *percent < 100.0) {
        Some(percent) => Ok(((percent / 100.0 * KEY_GROUPS as f64).round() as u64).clamp(1, KEY_GROUPS - 1)),
        None => Err("expected a share between 0% and 100%, such as 10%".to_owned()),
    }
}

/// Asks the job of a file, which runs on this machine. Needs a tokio runtime.
pub async fn ask(file: &Path, request: &Request) -> Result<Answer> {
    let mut none = Error::unavailable(format!("no job of {} runs here", file.display()));
    let mut found = None;
    for path in sockets(file)? {
        match UnixStream::connect(&path).await {
            Ok(stream) => found = Some(stream),
            Err(error) => none = none.with_source(error),
        }
    }
    let mut stream = found.ok_or_else(|| none.hint("start it with `wasmill run`, as the same user"))?;
    let broken = |error| Error::unavailable("the job does not answer").with_source(error);
    let mut line = serde_json::to_vec(request).map_err(|error| Error::internal(format!("write a request: {error}")))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(broken)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.map_err(broken)?;
    serde_json::from_str(&answer).map_err(|error| {
        Error::unavailable(format!("the job has ended before it answered, or is of another version: {error}"))
    })
}

/// Removes the sockets of a folder whose processes were killed. One that was just made may not listen yet: they are older than
/// this. What cannot be removed disturbs nobody.
async fn tidy(folder: &Path, older: Duration) {
    for socket in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let made = socket.metadata().and_then(|metadata| metadata.modified());
        let is_old = made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > older));
        let is_refused = |error: std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
        if is_old && UnixStream::connect(socket.path()).await.is_err_and(is_refused) {
            let _ = std::fs::remove_file(socket.path());
        }
    }
}

/// Where the job of a file may listen: in folders of the user's, under a name that the path of the file gives. Socket names are
/// short by law of the system, so it is not the path itself. Services have no XDG_RUNTIME_DIR, and shells of the same user may
/// have one: the other place is looked at, too.
fn sockets(file: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::invalid(format!("find {}", file.display())).with_source(error);
    let file = file.canonicalize().map_err(failed)?;
    let mut hasher = DefaultHasher::new();
    file.hash(&mut hasher);
    let name = format!("wasmill/run/{:016x}.sock", hasher.finish());
    let set = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let folders = [set("HOME").map(|home| home.join(".cache")), set("XDG_RUNTIME_DIR")];
    Ok(folders.into_iter().flatten().map(|folder| folder.join(&name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests and answers go back and forth, a second process is not let in, and what is no request is refused.
    #[tokio::test]
    async fn requests() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("job.toml");
        std::fs::write(&path, "").expect("written");
        let file = JobFile::new(&path, "");
        let (entry, reason) = (Entry::Shadow(5), Reason::automatic("test"));
        let (plugin, grants) = (Origin::Path("/b.wasm".into()), Vec::new());
        let request = Request::Swap { step: "a".into(), plugin, grants, entry, reason };
        ask(&path, &request).await.expect_err("nobody listens");
        let control = Control::listen(&file).await.expect("it listens");
        assert!(Control::listen(&file).await.is_err(), "another one does");
        let at = sockets(&path).expect("places").remove(0);
        let served = tokio::spawn(async move {
            loop {
                if let Some((request, reply)) = control.accept().await.request().await {
                    return reply.send(&Answer::Done(format!("{request:?}"))).await;
                }
            }
        });
        let mut stranger = UnixStream::connect(&at).await.expect("it listens");
        stranger.write_all(b"{\"stop\": 1}\n").await.expect("sent");
        let mut refusal = String::new();
        BufReader::new(stranger).read_line(&mut refusal).await.expect("an answer");
        assert!(refusal.contains("refused") && refusal.contains("unknown variant `stop`"), "{refusal}");
        assert_eq!(ask(&path, &request).await.expect("an answer"), Answer::Done(format!("{request:?}")));
        served.await.expect("served");
        assert!(!at.exists(), "it is gone with its job");
    }

    /// A client that connects and says nothing → it is told so after a while.
    #[tokio::test]
    async fn silence() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("job.toml");
        std::fs::write(&path, "").expect("written");
        let control = Control::listen(&JobFile::new(&path, "")).await.expect("it listens");
        let silent = UnixStream::connect(&sockets(&path).expect("places")[0]).await.expect("it listens");
        assert!(control.accept().await.request_within(Duration::from_millis(5)).await.is_none());
        let mut refusal = String::new();
        BufReader::new(silent).read_line(&mut refusal).await.expect("an answer");
        assert!(refusal.contains("no request within 5ms"), "{refusal}");
    }
    /// The socket of a process that was killed, beside one that listens → it is gone, and the other one is not.
    #[tokio::test]
    async fn tidies_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let [dead, live] = ["dead", "live"].map(|name| folder.path().join(name));
        drop(UnixListener::bind(&dead).expect("it listens"));
        let listener = UnixListener::bind(&live).expect("it listens");
        tidy(folder.path(), Duration::from_secs(60)).await;
        assert!(dead.exists(), "it may not listen yet");
        tokio::time::sleep(Duration::from_millis(5)).await;
        tidy(folder.path(), Duration::ZERO).await;
        assert!(!dead.exists() && live.exists());
        drop(listener);
    }

    /// Shares become key groups; what is no share, nothing, or everything is refused.
    #[test]
    fn shares() {
        assert_eq!((key_groups("50%"), key_groups("0.01%"), key_groups("99.99%")), (Ok(512), Ok(1), Ok(1_023)));
        for bad in ["10", "0%", "100%", "-1%", "x%", "NaN%", "%"] {
            assert!(key_groups(bad).is_err(), "{bad}");
        }
    }
}
