//! What a failed call to Kinesis means for the reader: try again, tell the user, or take a new iterator.

use crate::aws::Doubt;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use std::error::Error as StdError;
use wasmill_stream::{Error, ErrorKind};

/// Codes of the service that time can cure although they come with a 4xx status.
const PASSING: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "KMSThrottlingException",
    "ThrottlingException",
    "Throttling",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ResourceInUseException",
    // The list is started again.
    "ExpiredNextTokenException",
    // A clock that was put right, which the client does itself when it has read the answer.
    "RequestExpired",
    "RequestTimeTooSkewed",
];

/// Codes that fresh credentials cure.
const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException"];

/// Codes that fresh credentials may cure, or a clock that was put right.
const DOUBTFUL: &[&str] = &[
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "IncompleteSignatureException",
];

/// Codes that say who the caller is or what it may do.
const DENIED: &[&str] = &[
    "AccessDeniedException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "SubscriptionRequiredException",
    "KMSAccessDeniedException",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
    "KMSOptInRequired",
];

/// The host's error for a failed call. `subject` names the stream and what was asked of it.
pub fn failure<E>(subject: String, error: SdkError<E, HttpResponse>, doubt: &Doubt) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let Some(answer) = error.as_service_error() else {
        // Not sent, not answered, or not understood: reading again does no harm.
        let kind = match error {
            SdkError::ConstructionFailure(_) => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        return Error::new(kind, subject).with_source(error);
    };
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let code = answer.code().unwrap_or("an answer without a code");
    let message = match answer.message() {
        Some(message) => format!("{subject}: {code} (HTTP {status}): {message}"),
        None => format!("{subject}: {code} (HTTP {status})"),
    };
    let kind = match code {
        code if DOUBTFUL.contains(&code) => doubt.refused(),
        code if EXPIRED.contains(&code) => {
            doubt.expired();
            ErrorKind::Unavailable
        }
        code => kind(code, status),
    };
    Error::new(kind, message)
}

/// Whether an iterator has to be replaced. Matched by code: emulators and SDK versions disagree on the type.
pub fn is_expired_iterator<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(|answer| answer.code()) == Some("ExpiredIteratorException")
}

/// Whether the place that an iterator was asked for is not there. The service calls it an invalid argument; there are
/// emulators that say "not found".
pub fn is_unknown_place<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(|answer| answer.code());
    matches!(code, Some("InvalidArgumentException" | "ResourceNotFoundException"))
}

/// Whether there is no such shard or stream, or not any more.
pub fn is_not_found<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(|answer| answer.code()) == Some("ResourceNotFoundException")
}

fn kind(code: &str, status: u16) -> ErrorKind {
    if PASSING.contains(&code) || status >= 500 || matches!(status, 0 | 408 | 429) {
        ErrorKind::Unavailable
    } else if DENIED.contains(&code) || matches!(status, 401 | 403) {
        ErrorKind::Denied
    } else {
        ErrorKind::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Throttles and broken servers are waited for, refusals and mistakes end the job.
    #[test]
    fn codes_have_consequences() {
        let cases = [
            ("ProvisionedThroughputExceededException", 400, ErrorKind::Unavailable),
            ("InternalFailure", 500, ErrorKind::Unavailable),
            ("an answer without a code", 503, ErrorKind::Unavailable),
            ("AccessDeniedException", 400, ErrorKind::Denied),
            ("an answer without a code", 403, ErrorKind::Denied),
            ("ResourceNotFoundException", 400, ErrorKind::Invalid),
        ];
        for (code, status, expected) in cases {
            assert_eq!(kind(code, status), expected, "{code} {status}");
        }
    }
}
