//! Buckets of moto, an S3 server by others, which the tests of the whole program start as well.

use crate::fake_s3::texts;
use crate::servers::MOTO;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A bucket of its own on moto.
pub struct Moto {
    /// The server.
    pub address: String,
    /// The bucket's name.
    pub bucket: String,
}

impl Moto {
    /// A new bucket; `None`, and a message, if moto cannot be had here.
    pub fn start() -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let address = MOTO.url()?.to_owned();
        let bucket = format!("lake-{}", NUMBER.fetch_add(1, Relaxed));
        let moto = Self { address, bucket };
        let answer = moto.send("PUT", "");
        assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
        Some(moto)
    }

    /// All objects, in the order of their keys.
    pub fn objects(&self) -> Vec<Vec<u8>> {
        let objects = self.list("?list-type=2", "Key").into_iter().map(|key| {
            let answer = self.send("GET", &format!("/{key}?Signature=any"));
            answer.split_once("\r\n\r\n").map(|(_, body)| body.as_bytes().to_vec()).expect("a body")
        });
        objects.collect()
    }

    /// What the server answers to an unsigned request for something in the bucket.
    pub fn send(&self, method: &str, target: &str) -> String {
        let host = self.address.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("moto listens");
        let bucket = &self.bucket;
        write!(stream, "{method} /{bucket}{target} HTTP/1.0\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n")
            .expect("moto listens");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("moto answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The texts of an XML element in the answer to a `GET`.
    pub fn list(&self, target: &str, element: &str) -> Vec<String> {
        let answer = self.send("GET", target);
        assert!(answer.contains("<IsTruncated>false"), "all fit one page: {answer}");
        texts(&answer, element)
    }
}
