//! A fake S3: objects, conditional puts, multipart uploads and lists, stricter than most, with faults by script and by
//! chance.

use crate::http::{Reply, Request, Server};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use url::form_urlencoded;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The bytes of an object, or whether it is there.
    Get,
    /// A whole object.
    Put,
    /// An upload in parts.
    Begin,
    /// One part of an upload.
    Part,
    /// Makes an object of an upload.
    Complete,
    /// Throws an upload away.
    Abort,
    /// Removes an object.
    Delete,
    /// The objects.
    List,
    /// The uploads.
    Uploads,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Whether it has its effect.
    pub applied: bool,
    /// What is answered; `None`: nothing, the connection ends.
    pub answer: Option<(u16, &'static str)>,
}

/// What the server holds.
#[derive(Default)]
pub struct State {
    /// Bytes and our metadata by key.
    pub objects: BTreeMap<String, Object>,
    /// Uploads that are neither complete nor aborted, by id.
    pub uploads: BTreeMap<String, Upload>,
    /// What goes wrong with the next requests of a kind.
    pub script: VecDeque<(Call, Fault)>,
    /// Out of a hundred writes so many have their effect and no answer.
    pub lost_percent: u64,
    /// Of so many bodies to come a bit is flipped on the way.
    pub flips: usize,
    /// Whether the condition of a put is overlooked, as by some servers.
    pub ignores_conditions: bool,
    /// What every conditional put is answered, which has no effect then.
    pub conditional: Option<(u16, &'static str)>,
    /// The error code of an object that is not there.
    pub missing: Option<(u16, &'static str)>,
    /// Every request so far.
    pub calls: Vec<Call>,
    begun: u64,
    chance: u64,
}

/// A stored object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// `x-amz-meta-wasmill`
    pub metadata: String,
}

/// An upload in parts.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// The key of the object to come.
    pub key: String,
    metadata: String,
    /// By their numbers.
    pub parts: BTreeMap<usize, Vec<u8>>,
}

impl Upload {
    /// One without parts.
    pub fn of(key: String) -> Self {
        Self { key, ..Self::default() }
    }
}

/// A running fake.
pub struct FakeS3 {
    /// Its server.
    pub server: Server,
    state: Arc<Mutex<State>>,
}

impl FakeS3 {
    /// Starts a server with an empty bucket `lake`.
    pub async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let held = state.clone();
        let server = Server::start(move |request| held.lock().expect("no test panics in here").answer(&request)).await;
        Self { server, state }
    }

    /// What it holds.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics in here")
    }

    /// Where it is, in the words of a job file.
    pub fn access(&self) -> String {
        access(&self.server.address)
    }

    /// Lets the next request of a kind go wrong.
    pub fn next(&self, call: Call, applied: bool, answer: Option<(u16, &'static str)>) {
        self.state().script.push_back((call, Fault { applied, answer }));
    }
}

/// The settings of a server at this address.
pub fn access(address: &str) -> String {
    format!(
        "region = \"eu-west-1\"\nendpoint = \"{address}\"\nstart_timeout = \"300ms\"\n\
         access_key_id = \"${{SECRET}}\"\nsecret_access_key = \"${{SECRET}}\"\n"
    )
}

struct Asked<'a> {
    call: Call,
    key: String,
    query: BTreeMap<String, String>,
    request: &'a Request,
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        let asked = Asked::of(request);
        self.calls.push(asked.call);
        let is_write = !matches!(asked.call, Call::Get | Call::List | Call::Uploads);
        if let Some(at) = self.script.iter().position(|(call, _)| *call == asked.call)
            && let Some((_, fault)) = self.script.remove(at)
        {
            if fault.applied {
                self.apply(&asked);
            }
            return fault.answer.map_or(Reply::HangUp, |(status, code)| failure(status, code));
        }
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let answer = self.apply(&asked);
        if is_write && (self.chance >> 33) % 100 < self.lost_percent { Reply::HangUp } else { answer }
    }

    fn apply(&mut self, asked: &Asked<'_>) -> Reply {
        if matches!(asked.call, Call::Put | Call::Part) && !self.arrives(asked.request) {
            return failure(400, "XAmzContentSHA256Mismatch");
        }
        match asked.call {
            Call::Get => self.get(asked),
            Call::Put => self.put(asked),
            Call::Begin => self.begin(asked),
            Call::Part => self.part(asked),
            Call::Complete => self.complete(asked),
            Call::Abort => match self.uploads.remove(asked.query("uploadId")) {
                Some(_) => done(),
                None => failure(404, "NoSuchUpload"),
            },
            Call::Delete => {
                self.objects.remove(&asked.key);
                done()
            }
            Call::List => self.list(asked),
            Call::Uploads => self.list_uploads(asked),
        }
    }

    /// Whether a body is the one that was signed.
    fn arrives(&mut self, request: &Request) -> bool {
        let mut body = request.body.clone();
        if let (Some(byte), true) = (body.first_mut(), self.flips > 0) {
            *byte ^= 1;
            self.flips -= 1;
        }
        let digest: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        request.header("x-amz-content-sha256") == digest
    }

    fn get(&self, asked: &Asked<'_>) -> Reply {
        let Some(object) = self.objects.get(&asked.key) else {
            let (status, code) = self.missing.unwrap_or((404, "NoSuchKey"));
            return failure(status, code);
        };
        let headers = vec![("etag", etag(&object.bytes)), ("x-amz-meta-wasmill", object.metadata.clone())];
        Reply::Bytes(200, headers, object.bytes.clone())
    }

    fn put(&mut self, asked: &Asked<'_>) -> Reply {
        let is_conditional = asked.request.header("if-none-match") == "*" && !self.ignores_conditions;
        if let (true, Some((status, code))) = (is_conditional, self.conditional) {
            return failure(status, code);
        }
        if is_conditional && self.objects.contains_key(&asked.key) {
            return failure(412, "PreconditionFailed");
        }
        let bytes = asked.request.body.clone();
        let headers = vec![("etag", etag(&bytes))];
        self.objects.insert(asked.key.clone(), Object { bytes, metadata: asked.metadata() });
        Reply::Bytes(200, headers, Vec::new())
    }

    fn begin(&mut self, asked: &Asked<'_>) -> Reply {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        let upload = Upload { metadata: asked.metadata(), ..Upload::of(asked.key.clone()) };
        self.uploads.insert(id.clone(), upload);
        let answer =
            format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
        Reply::Full(200, answer)
    }

    fn part(&mut self, asked: &Asked<'_>) -> Reply {
        let Some(upload) = self.uploads.get_mut(asked.query("uploadId")) else { return failure(404, "NoSuchUpload") };
        let number = asked.query("partNumber").parse().expect("a part has a number");
        let bytes = asked.request.body.clone();
        let headers = vec![("etag", etag(&bytes))];
        upload.parts.insert(number, bytes);
        Reply::Bytes(200, headers, Vec::new())
    }

    fn complete(&mut self, asked: &Asked<'_>) -> Reply {
        let id = asked.query("uploadId");
        let Some(upload) = self.uploads.get(id) else { return failure(404, "NoSuchUpload") };
        let body = String::from_utf8_lossy(&asked.request.body).replace("&quot;", "\"");
        let tags = texts(&body, "ETag");
        let stored: Vec<_> = upload.parts.values().map(|bytes| etag(bytes)).collect();
        if tags != stored {
            return failure(400, "InvalidPart");
        }
        let bytes = upload.parts.values().flatten().copied().collect();
        self.objects.insert(asked.key.clone(), Object { bytes, metadata: upload.metadata.clone() });
        self.uploads.remove(id);
        let answer = "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>";
        Reply::Full(200, answer.to_owned())
    }

    /// Three names a page, so that there are always several.
    fn list(&self, asked: &Asked<'_>) -> Reply {
        let (prefix, after) = (asked.query("prefix"), asked.query("continuation-token"));
        let names = self.objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after);
        let page: Vec<_> = names.take(4).collect();
        let mut answer = String::from("<ListBucketResult>");
        for (key, object) in page.iter().take(3) {
            let size = object.bytes.len();
            answer.push_str(&format!(
                "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2013-01-01T00:00:00.000Z</LastModified></Contents>"
            ));
        }
        if let (4, Some((last, _))) = (page.len(), page.get(2)) {
            answer.push_str(&format!("<NextContinuationToken>{last}</NextContinuationToken>"));
        }
        Reply::Full(200, answer + "</ListBucketResult>")
    }

    /// Two uploads a page.
    fn list_uploads(&self, asked: &Asked<'_>) -> Reply {
        let after = (asked.query("key-marker"), asked.query("upload-id-marker"));
        let prefix = asked.query("prefix");
        let mut uploads: Vec<_> = self.uploads.iter().map(|(id, upload)| (upload.key.as_str(), id.as_str())).collect();
        uploads.sort_unstable();
        uploads.retain(|upload| upload.0.starts_with(prefix) && *upload > after);
        let mut answer = format!("<ListMultipartUploadsResult><IsTruncated>{}</IsTruncated>", uploads.len() > 2);
        for (key, id) in uploads.iter().take(2) {
            answer.push_str(&format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>"));
        }
        if let (3.., Some((key, id))) = (uploads.len(), uploads.get(1)) {
            answer.push_str(&format!("<NextKeyMarker>{key}</NextKeyMarker>"));
            answer.push_str(&format!("<NextUploadIdMarker>{id}</NextUploadIdMarker>"));
        }
        Reply::Full(200, answer + "</ListMultipartUploadsResult>")
    }
}

impl<'a> Asked<'a> {
    fn of(request: &'a Request) -> Self {
        let is_signed = |text: &str| text.contains("/eu-west-1/s3/aws4_request");
        let target = request.target.replace("%2F", "/");
        assert!(is_signed(request.header("authorization")) || is_signed(&target), "not signed: {target}");
        let (path, query) = (request.path(), request.target.split_once('?').map_or("", |(_, query)| query));
        let key = path.strip_prefix("/lake").expect("the bucket is in the path").trim_start_matches('/').to_owned();
        let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let has = |name: &str| query.contains_key(name);
        let call = match request.method.as_str() {
            "GET" if has("uploads") => Call::Uploads,
            "GET" if has("list-type") => Call::List,
            "GET" | "HEAD" => Call::Get,
            "PUT" if has("uploadId") => Call::Part,
            "PUT" => Call::Put,
            "POST" if has("uploads") => Call::Begin,
            "POST" if has("uploadId") => Call::Complete,
            "DELETE" if has("uploadId") => Call::Abort,
            "DELETE" => Call::Delete,
            method => panic!("{method} {}", request.target),
        };
        Self { call, key, query, request }
    }

    fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    fn metadata(&self) -> String {
        self.request.header("x-amz-meta-wasmill").to_owned()
    }
}

/// The texts of an XML element without elements inside.
pub fn texts(xml: &str, element: &str) -> Vec<String> {
    let start = format!("<{element}>");
    let texts = xml.split(start.as_str()).skip(1).filter_map(|rest| rest.split_once('<'));
    texts.map(|(text, _)| text.to_owned()).collect()
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", wasmill_stream::checkpoint::Digest::of(bytes))
}

fn done() -> Reply {
    Reply::Bytes(204, Vec::new(), Vec::new())
}

fn failure(status: u16, code: &str) -> Reply {
    Reply::Full(status, format!("<Error><Code>{code}</Code><Message>scripted</Message></Error>"))
}
