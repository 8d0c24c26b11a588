//! An HTTP/1.1 server in this process: a thread per connection, an answer per request. It outlives the programs that the
//! tests kill.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// A request.
pub struct Request {
    /// First line and headers, as they came.
    pub head: String,
    pub method: String,
    /// The path, with what follows a question mark.
    pub target: String,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// Names, in lower case, and values.
pub type Headers = Vec<(&'static str, String)>;

/// Sends a body in parts.
pub type SendBody = Box<dyn FnOnce(&mut Chunks<'_>) -> std::io::Result<()> + Send>;

/// What becomes of a request.
pub enum Reply {
    /// Status and JSON.
    Json(u16, String),
    /// Status, headers and body.
    Full(u16, Headers, Vec<u8>),
    /// Headers of a success, and whoever sends the body, part by part; then the connection closes.
    Stream(Headers, SendBody),
    /// These bytes; then the connection closes.
    Last(Vec<u8>),
}

/// A body in parts.
pub struct Chunks<'a> {
    stream: &'a mut TcpStream,
    is_broken: bool,
}

impl Chunks<'_> {
    /// Sends a part.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.stream.write_all(&chunk)
    }

    /// Sends a part, and never the end of the body.
    pub fn break_off(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.is_broken = true;
        self.send(bytes)
    }
}

/// Serves until the test process ends. Returns the URL, without a slash at the end.
pub fn serve(answer: impl Fn(Request) -> Reply + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface works");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            // A client that is killed breaks off anywhere.
            std::thread::spawn(move || converse(stream, &*answer).ok());
        }
    });
    url
}

fn converse(mut stream: TcpStream, answer: &dyn Fn(Request) -> Reply) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read(&mut reader)? {
        let is_last = request.head.to_ascii_lowercase().contains("\r\nconnection: close\r\n");
        match answer(request) {
            Reply::Json(status, body) => {
                let headers = vec![("content-type", "application/json".to_owned())];
                stream.write_all(&render(status, &headers, body.as_bytes()))?;
            }
            Reply::Full(status, headers, body) => stream.write_all(&render(status, &headers, &body))?,
            Reply::Stream(headers, send) => {
                let head = head(200, &headers, "transfer-encoding: chunked\r\nconnection: close\r\n");
                stream.write_all(head.as_bytes())?;
                let mut chunks = Chunks { stream: &mut stream, is_broken: false };
                send(&mut chunks)?;
                let ending: &[u8] = if chunks.is_broken { b"" } else { b"0\r\n\r\n" };
                return stream.write_all(ending);
            }
            Reply::Last(bytes) => return stream.write_all(&bytes),
        }
        if is_last {
            return Ok(());
        }
    }
    Ok(())
}

/// A whole answer, as it goes over the wire.
pub fn render(status: u16, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let mut answer = head(status, headers, &format!("content-length: {}\r\n", body.len())).into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn head(status: u16, headers: &Headers, framing: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} -\r\n{headers}{framing}\r\n")
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// `None` at the end of the connection. A request that is cut off is none.
fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    assert!(header(&head, "transfer-encoding").is_none(), "bodies with a length only: {head}");
    let length = header(&head, "content-length").map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    Ok(Some(Request { head, method, target, body }))
}
