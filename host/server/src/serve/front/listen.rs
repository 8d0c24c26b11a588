//! Where a host listens: an address, or a Unix socket that only its user can reach.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio::time::sleep;
use wasmill_stream::{Error, Result};

/// How long it is waited after a client could not be let in, such as for too many open files: that passes.
const AGAIN: Duration = Duration::from_millis(100);

/// Clients that may wait to be let in.
const BACKLOG: u32 = 128;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// At an address. Port 0 takes any that is free.
    Tcp(SocketAddr),
    /// At a path.
    Unix(PathBuf),
}

impl Listen {
    /// Whether only this machine can reach it.
    pub fn is_private(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// A relative path, as seen from a folder.
    pub fn within(self, folder: &Path) -> Self {
        match self {
            Self::Unix(path) => Self::Unix(folder.join(path)),
            tcp @ Self::Tcp(_) => tcp,
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("expected a path after `unix:`".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                format!("expected an address such as 127.0.0.1:9180 or [::1]:9180, or unix:PATH; found `{text}`")
            }),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Who is on the other side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// Somebody at an address.
    Tcp(SocketAddr),
    /// A user of this machine; `None`: the system does not say which.
    Unix(Option<u32>),
}

impl Peer {
    /// Without the port, which is another one for each connection.
    pub fn host(&self) -> Self {
        match self {
            Self::Tcp(address) => Self::Tcp(SocketAddr::new(address.ip(), 0)),
            unix => *unix,
        }
    }

    /// Who it is as far as that is known without a token.
    pub fn who(&self) -> String {
        match self {
            Self::Tcp(address) if address.ip().is_loopback() => "loopback".to_owned(),
            Self::Tcp(_) => "nobody".to_owned(),
            Self::Unix(Some(uid)) => format!("uid {uid}"),
            Self::Unix(None) => "unix".to_owned(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(_) => f.write_str("unix"),
        }
    }
}

/// What clients come in through. A socket's file goes away with it.
pub enum Listener {
    /// An address.
    Tcp(TcpListener),
    /// A path.
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Listens there. Needs a tokio runtime.
    pub async fn bind(at: &Listen) -> Result<Self> {
        let failed = |error| Error::unavailable(format!("listen on {at}")).with_source(error);
        match at {
            Listen::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp).map_err(failed),
            Listen::Unix(path) => {
                if UnixStream::connect(path).await.is_ok() {
                    return Err(Error::unavailable(format!("another process listens on {at}")));
                }
                listen_unix(path).map(|listener| Self::Unix(listener, SocketFile(path.clone()))).map_err(failed)
            }
        }
    }

    /// Where it does listen: the port may have been any that is free.
    pub fn at(&self) -> Result<Listen> {
        let failed = |error: io::Error| Error::unavailable("find the address of the API").with_source(error);
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Listen::Tcp).map_err(failed),
            Self::Unix(_, SocketFile(path)) => Ok(Listen::Unix(path.clone())),
        }
    }

    /// The next client.
    pub(super) async fn accept(&self) -> (Stream, Peer) {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => {
                    listener.accept().await.map(|(stream, peer)| (Stream::Tcp(stream), Peer::Tcp(unmapped(peer))))
                }
                Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| {
                    let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                    (Stream::Unix(stream), Peer::Unix(uid))
                }),
            };
            match accepted {
                Ok(accepted) => return accepted,
                Err(_) => sleep(AGAIN).await,
            }
        }
    }
}

/// One address has one form: sockets for both versions show those of version 4 as `::ffff:…`.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => SocketAddr::new(ip.to_canonical(), address.port()),
        IpAddr::V4(_) => address,
    }
}

/// Nobody can connect before it listens, and it listens only once the file is its user's alone.
fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    // Left over from a process that was killed; anything but a socket is somebody's, and stays.
    match std::fs::symlink_metadata(path) {
        Ok(found) if std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => std::fs::remove_file(path)?,
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)
}

/// The file of a socket.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next one removes it otherwise.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests;
