//! The few HTTP requests with which tests look at servers from the side, without the clients that wasmill uses.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends a request and returns status and body. `url` is `http://HOST:PORT/PATH`.
pub fn send(method: &str, url: &str, body: &str) -> (u16, String) {
    let (head, body) = exchange(method, url, body).unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{method} {url}: odd answer {head:?}")), body)
}

/// Sends a request that must succeed and returns the body as JSON.
pub fn json(method: &str, url: &str, body: &str) -> serde_json::Value {
    let (status, text) = send(method, url, body);
    assert!((200..300).contains(&status), "{method} {url}: status {status}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {url}: {error}: {text}"))
}

/// HTTP 1.0 because then the answer ends where the connection does.
fn exchange(method: &str, url: &str, body: &str) -> std::io::Result<(String, String)> {
    let (host, path) = parts(url);
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "{method} /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\n")?;
    write!(stream, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.to_owned(), body.to_owned()))
}

fn parts(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split_once('/').unwrap_or((rest, ""))
}
