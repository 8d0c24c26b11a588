//! A HTTP/1.1 server of a hundred lines: one request per connection, answered by a closure, with the power to cut an
//! answer short or to hang up.

use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use url::form_urlencoded;

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// `POST`, and so on.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The path as it was before it became part of an address.
    pub fn path(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        // A form has the same escapes, and a few more.
        let path = path.replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
        let mut pairs = form_urlencoded::parse(path.as_bytes());
        pairs.next().map(|(path, _)| path.into_owned()).unwrap_or_default()
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Status and body.
    Full(u16, String),
    /// Status, further header lines and a body of any bytes; to a `HEAD` the body is only promised.
    Bytes(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Promises the whole body and sends only so many bytes of it.
    Cut(u16, String, usize),
    /// Closes the connection without a word.
    HangUp,
    /// The same as the other reply, once the gate lets one more through.
    Held(Arc<Semaphore>, Box<Self>),
}

/// A running server. It stops when it is dropped.
pub struct Server {
    /// `http://127.0.0.1:PORT`
    pub address: String,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts a server on a free port.
    pub async fn start(answer: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("a bound socket"));
        let answer = Arc::new(answer);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    // A client that gives up is no failure of the server.
                    let _ = serve(stream, answer.as_ref()).await;
                });
            }
        });
        Self { address, accepting }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An address at which nobody listens.
pub async fn refusing_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("a bound socket"))
}

async fn serve(stream: TcpStream, answer: &(impl Fn(Request) -> Reply + Sync)) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(request) = read(&mut stream).await? else { return Ok(()) };
    let is_head = request.method == "HEAD";
    let kind = |body: &str| if body.starts_with('<') { "text/html" } else { "application/json" };
    let plain = |body: &str| vec![("content-type", kind(body).to_owned()), ("etag", "\"1\"".to_owned())];
    let mut reply = answer(request);
    while let Reply::Held(gate, held) = reply {
        gate.acquire().await.expect("gates are never closed").forget();
        reply = *held;
    }
    let (status, headers, body, keep) = match reply {
        Reply::Full(status, body) => (status, plain(&body), body.into_bytes(), usize::MAX),
        Reply::Cut(status, body, keep) => (status, plain(&body), body.into_bytes(), keep),
        Reply::Bytes(status, headers, body) => (status, headers, body, if is_head { 0 } else { usize::MAX }),
        Reply::HangUp | Reply::Held(..) => return Ok(()),
    };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head =
        format!("HTTP/1.1 {status} Scripted\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body[..keep.min(body.len())]).await?;
    stream.shutdown().await
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    if request.header("expect") == "100-continue" {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let length = request.header("content-length").parse().unwrap_or(0);
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).await?;
    Ok(Some(request))
}
