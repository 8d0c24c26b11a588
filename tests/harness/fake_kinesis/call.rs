//! A request as the service understands it: an operation and its arguments; and the answers.

use super::super::loopback::{Request, SendBody};
use serde_json::{Value, json};

/// A call that the server has got.
#[derive(Debug, Clone)]
pub struct Call {
    /// `GetRecords`, and so on.
    pub operation: String,
    /// The shard that it is about, if it is about one.
    pub shard: Option<String>,
    /// When it came, by the server's clock, in milliseconds.
    pub at: i64,
}

/// The operation of a request.
pub fn operation(request: &Request) -> &str {
    request.header("x-amz-target").unwrap_or_default().rsplit('.').next().unwrap_or_default()
}

/// The arguments of a request.
pub fn arguments(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

/// What becomes of a call.
pub enum Outcome {
    /// An answer.
    Body(u16, String),
    /// An answer of which only so many bytes come.
    Cut(u16, String, usize),
    /// The connection closes without an answer.
    HangUp,
    /// An answer in parts.
    Stream(SendBody),
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        match answer {
            Ok(Value::Null) => Self::Body(200, String::new()),
            Ok(body) => Self::Body(200, body.to_string()),
            Err(refusal) => refusal.into(),
        }
    }
}

/// What a call is answered with.
pub type Answer = Result<Value, Refusal>;

/// A call that is refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refusal {
    /// A refusal that the caller has brought about.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, code, message: message.into() }
    }

    /// With another status.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// As the answer to one record of several.
    pub fn item(&self) -> Value {
        json!({"ErrorCode": self.code, "ErrorMessage": self.message})
    }
}

impl From<Refusal> for Outcome {
    /// As the service words it.
    fn from(refusal: Refusal) -> Self {
        let body = json!({"__type": refusal.code, "message": refusal.message});
        Self::Body(refusal.status, body.to_string())
    }
}

/// Anything that the service calls an argument that it cannot take.
pub fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidArgumentException", message)
}

/// A stream, shard or consumer that is not there.
pub fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::new("ResourceNotFoundException", message)
}

/// Too much for a shard.
pub fn throttled(shard: &str) -> Refusal {
    Refusal::new("ProvisionedThroughputExceededException", format!("Rate exceeded for shard {shard} in stream"))
}
