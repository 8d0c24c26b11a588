//! The service manager that has started this process, such as systemd: it is told over a socket when the host is ready, reads its
//! settings again, stops, and that it is alive. Without one nobody is told anything.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use wasmill_stream::{Error, Result};

/// Tells a service manager how the process is.
#[derive(Debug)]
pub struct Manager {
    socket: Option<UnixDatagram>,
    /// How often it wants a sign of life.
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that the environment names.
    pub fn of_environment() -> Result<Self> {
        let text = |name: &str| std::env::var(name).ok();
        let is_meant = |pid: String| pid.parse() == Ok(std::process::id());
        let watchdog = text("WATCHDOG_USEC").filter(|_| text("WATCHDOG_PID").is_none_or(is_meant));
        Self::at(std::env::var_os("NOTIFY_SOCKET"), watchdog.as_deref())
    }

    /// The one that listens there: at a path, or with `@` in front at an abstract name.
    fn at(place: Option<OsString>, watchdog: Option<&str>) -> Result<Self> {
        let Some(place) = place.filter(|place| !place.is_empty()) else {
            return Ok(Self { socket: None, watchdog: None });
        };
        let connect = || -> io::Result<UnixDatagram> {
            let address = match place.as_bytes() {
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
                _ => SocketAddr::from_pathname(&place)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            // Nobody here waits for a manager that does not listen.
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let failed = |error| {
            Error::invalid(format!("NOTIFY_SOCKET is {}: it cannot be reached", place.display())).with_source(error)
        };
        let micros = watchdog.and_then(|text| text.parse().ok()).filter(|micros| *micros > 0);
        Ok(Self { socket: Some(connect().map_err(failed)?), watchdog: micros.map(Duration::from_micros) })
    }

    /// How often to say [`Manager::is_alive`]: twice within the time that is allowed.
    pub fn pulse(&self) -> Option<Duration> {
        self.watchdog.map(|allowed| allowed / 2)
    }

    /// The host can be asked, and its jobs are being started.
    pub fn is_ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}"));
    }

    /// It reads its settings again; [`Manager::is_ready`] comes after that.
    pub fn reloads(&self) {
        self.say("RELOADING=1\nSTATUS=reading the settings again");
    }

    /// Its jobs take their last checkpoints.
    pub fn stops(&self) {
        self.say("STOPPING=1\nSTATUS=every job takes its last checkpoint");
    }

    /// It goes on.
    pub fn is_alive(&self) {
        self.say("WATCHDOG=1");
    }

    fn say(&self, words: &str) {
        // A manager that has gone, or is too busy, is not this process's problem.
        let _ = self.socket.as_ref().map(|socket| socket.send(words.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manager at a path and one at an abstract name → each hears what is said; without one, nothing happens; one that is not
    /// there is an error that names it.
    #[test]
    fn whoever_listens_hears() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notify");
        let name = format!("wasmill-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(name.as_bytes()).expect("a name");
        for (listens, place) in [
            (UnixDatagram::bind(&path), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&abstract_name), format!("@{name}").into()),
        ] {
            let listens = listens.expect("it is free");
            let manager = Manager::at(Some(place), Some("2000000")).expect("it listens");
            assert_eq!(manager.pulse(), Some(Duration::from_secs(1)));
            manager.is_ready("2 jobs");
            let mut heard = [0; 100];
            let length = listens.recv(&mut heard).expect("something was said");
            assert_eq!(&heard[..length], b"READY=1\nSTATUS=2 jobs");
        }
        Manager::at(None, Some("5")).expect("nobody need listen").is_ready("");
        let error = Manager::at(Some("/no/such/socket".into()), None).expect_err("nobody listens").to_string();
        assert!(error.contains("/no/such/socket"), "{error}");
    }
}
