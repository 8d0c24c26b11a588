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

/// What becomes of a request.
pub enum Reply {
    /// Status and JSON.
    Json(u16, String),
    /// These bytes; then the connection closes.
    Last(Vec<u8>),
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
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
                );
                stream.write_all((head + &body).as_bytes())?;
                if is_last {
                    return Ok(());
                }
            }
            Reply::Last(bytes) => return stream.write_all(&bytes),
        }
    }
    Ok(())
}

/// `None` at the end of the connection. A request that is cut off is none.
fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    assert!(header("transfer-encoding").is_none(), "bodies with a length only: {head}");
    let length = header("content-length").map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    Ok(Some(Request { head, method, target, body }))
}
