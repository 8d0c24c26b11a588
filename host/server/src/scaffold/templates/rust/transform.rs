//! Keeps the requests that failed or were slow, and keys them by service.

use wasmill::{Fault, Fields, Keyed, Settings, Transform, keyed};

#[derive(Settings)]
struct TroubledRequests {
    /// A request that takes so many milliseconds is slow.
    #[setting(default = 500, minimum = 1)]
    slow_ms: i64,
}

/// What is wanted of a row; `#[field("/pointer/to/it")]` names a field that lies deeper.
#[derive(Fields)]
struct Request {
    service: String,
    status: i64,
    millis: i64,
}

impl Transform for TroubledRequests {
    type Row = Request;
    type Output = Result<Option<Keyed<String>>, Fault>;

    fn transform(&self, request: Request) -> Self::Output {
        if request.millis < 0 {
            Err("negative duration")?;
        }
        let is_troubled = request.status >= 500 || request.millis >= self.slow_ms;
        Ok(is_troubled.then(|| keyed(request.service)))
    }
}

wasmill::transform!(type TroubledRequests);
