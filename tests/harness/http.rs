//! The few HTTP requests with which tests look at servers from the side, without the clients that wasmill uses.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends a request and returns status and body. `url` is `http://HOST:PORT/PATH`.
pub fn send(method: &str, url: &str, body: &str) -> (u16, String) {
    let (status, _, body) = send_with(method, url, &[("Content-Type", "application/json")], body.as_bytes());
    (status, body)
}

/// Sends a request with these headers and returns status, head and body.
pub fn send_with(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, String) {
    let (status, head, body) = send_bytes(method, url, headers, body);
    (status, head, String::from_utf8_lossy(&body).into_owned())
}

/// The same, whatever the body is.
pub fn send_bytes(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, Vec<u8>) {
    let answer = exchange(method, url, headers, body).unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{method} {url}: odd answer {head:?}"));
    (status, head, answer.get(end + 4..).unwrap_or_default().to_vec())
}

/// Sends a request that must succeed and returns the body as JSON.
pub fn json(method: &str, url: &str, body: &str) -> serde_json::Value {
    let (status, text) = send(method, url, body);
    assert!((200..300).contains(&status), "{method} {url}: status {status}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {url}: {error}: {text}"))
}

/// HTTP 1.0 because then the answer ends where the connection does.
fn exchange(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Vec<u8>> {
    let (host, path) = parts(url);
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "{method} /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n", body.len())?;
    headers.iter().try_for_each(|(name, value)| write!(stream, "{name}: {value}\r\n"))?;
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn parts(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split_once('/').unwrap_or((rest, ""))
}
