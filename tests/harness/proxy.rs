//! A proxy in front of a server that loses answers: what was asked for is done, and whoever asked does not learn it.

use super::chance::Chance;
use super::loopback::{self, Reply, Request};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// A running proxy.
pub struct Proxy {
    /// Its URL, without a slash at the end.
    pub url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    writes: AtomicUsize,
    lost: AtomicUsize,
}

impl Proxy {
    /// In front of `upstream`, which is `http://HOST:PORT`. Of a hundred writes it loses the answers of `percent`: half
    /// of them without a word, the others in the middle or behind an error of a gateway.
    pub fn start(upstream: &str, percent: usize, chance: Chance) -> Self {
        let host = upstream.strip_prefix("http://").expect("a plain URL").to_owned();
        let counts = Arc::new(Counts::default());
        let (counted, chance) = (counts.clone(), Mutex::new(chance));
        let url = loopback::serve(move |request| {
            let is_write = matches!(request.method.as_str(), "PUT" | "POST" | "DELETE");
            let answer = forward(&host, &request).unwrap_or_else(|error| gateway_error(&error.to_string()));
            if !is_write {
                return Reply::Last(answer);
            }
            counted.writes.fetch_add(1, Relaxed);
            let mut chance = chance.lock().expect("no thread panics in here");
            if chance.below(100) >= percent {
                return Reply::Last(answer);
            }
            counted.lost.fetch_add(1, Relaxed);
            match chance.below(4) {
                0 | 1 => Reply::Last(Vec::new()),
                2 => Reply::Last(answer[..answer.len() / 2].to_vec()),
                _ => Reply::Last(gateway_error("the answer was lost")),
            }
        });
        Self { url, counts }
    }

    /// How many writes there were, and how many of their answers were lost.
    pub fn counts(&self) -> (usize, usize) {
        (self.counts.writes.load(Relaxed), self.counts.lost.load(Relaxed))
    }
}

/// Passes a request on and returns the whole answer.
fn forward(host: &str, request: &Request) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host)?;
    let (first, headers) = request.head.split_once("\r\n").expect("a head has lines");
    let kept: String = headers
        .lines()
        .filter(|line| !line.is_empty() && !line.to_ascii_lowercase().starts_with("connection:"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    write!(stream, "{first}\r\n{kept}Connection: close\r\n\r\n")?;
    stream.write_all(&request.body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn gateway_error(why: &str) -> Vec<u8> {
    format!("HTTP/1.1 502 Bad Gateway\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{why}", why.len()).into_bytes()
}
