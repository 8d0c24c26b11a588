//! A bucket on an S3 server, looked at from the side.

use super::http;

/// A bucket of its own for one test.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The server.
    pub url: String,
    pub name: String,
}

impl Bucket {
    /// Creates it.
    pub fn create(url: &str, name: &str) -> Self {
        assert_eq!(http::send("PUT", &format!("{url}/{name}"), "").0, 200, "bucket {name}");
        Self { url: url.to_owned(), name: name.to_owned() }
    }

    /// Puts an object.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let (status, _, body) = http::send_with("PUT", &format!("{}/{}/{key}", self.url, self.name), &[], bytes);
        assert_eq!(status, 200, "{key}: {body}");
    }

    /// All keys that begin so.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.list(prefix).into_iter().map(|(key, _)| key).collect()
    }

    /// All keys that begin so, each with the tag of its object.
    pub fn list(&self, prefix: &str) -> Vec<(String, String)> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let query = format!("list-type=2&prefix={prefix}&start-after={after}");
            let (status, page) = http::send("GET", &format!("{}/{}?{query}", self.url, self.name), "");
            assert_eq!(status, 200, "{page}");
            all.extend(texts(&page, "Key").into_iter().zip(texts(&page, "ETag")));
            match all.last() {
                Some((last, _)) if page.contains("<IsTruncated>true") => after.clone_from(last),
                _ => return all,
            }
        }
    }

    /// An object; `None` if there is none.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        // Objects are private, and the servers of the tests take any signature.
        let url = format!("{}/{}/{key}?Signature=any", self.url, self.name);
        let (status, _, body) = http::send_bytes("GET", &url, &[], b"");
        match status {
            200 => Some(body),
            404 => None,
            _ => panic!("{key}: status {status}: {}", String::from_utf8_lossy(&body)),
        }
    }

    /// The keys of uploads that were begun and neither completed nor aborted.
    pub fn uploads(&self) -> Vec<String> {
        let (status, page) = http::send("GET", &format!("{}/{}?uploads", self.url, self.name), "");
        assert!(status == 200 && !page.contains("<IsTruncated>true"), "{status}: {page}");
        texts(&page, "Key")
    }
}

/// The texts of all elements with this name, which have no children.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let texts = xml.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
    texts.map(|(text, _)| text.to_owned()).collect()
}
