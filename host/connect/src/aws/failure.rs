//! What a failed call to a service of AWS means: try again, or tell the user.

use super::Doubt;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use std::error::Error as StdError;
use wasmill_stream::{Error, ErrorKind};

/// Codes of services that time can cure although they come with a 4xx status.
const PASSING: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "KMSThrottling",
    "KMSThrottlingException",
    "ThrottlingException",
    "Throttling",
    "Throttled",
    "ThrottledException",
    "RequestLimitExceeded",
    "ReplicatedWriteConflictException",
    "TransactionConflictException",
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
    "AuthorizationError",
    "AuthorizationErrorException",
    "NotAuthorized",
    "OptInRequired",
    "SubscriptionRequiredException",
    "KMSAccessDenied",
    "KMSAccessDeniedException",
    "KMSDisabled",
    "KMSDisabledException",
    "KMSInvalidState",
    "KMSInvalidStateException",
    "KMSNotFound",
    "KMSNotFoundException",
    "KMSOptInRequired",
];

/// Codes that say that what is written to is not there.
const MISSING: &[&str] = &["ResourceNotFoundException", "NotFound", "NotFoundException"];

/// Whether a code says that what is written to is not there, or not now.
pub fn is_missing(code: &str) -> bool {
    MISSING.contains(&code)
}

/// Whether time can cure what a code says.
pub fn is_passing(code: &str) -> bool {
    PASSING.contains(&code)
}

/// Whether a code says who the caller is or what it may do.
pub fn is_about_caller(code: &str) -> bool {
    DENIED.contains(&code) || DOUBTFUL.contains(&code) || EXPIRED.contains(&code)
}

/// The host's error for a failed call. `subject` names the stream, table or topic and what was asked of it.
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

fn kind(code: &str, status: u16) -> ErrorKind {
    // An answer that is neither a success nor a refusal comes from somebody else on the way.
    if PASSING.contains(&code) || !(400..500).contains(&status) || matches!(status, 408 | 429) {
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
            ("an answer without a code", 200, ErrorKind::Unavailable),
            ("an answer without a code", 403, ErrorKind::Denied),
            ("ResourceNotFoundException", 400, ErrorKind::Invalid),
        ];
        for (code, status, expected) in cases {
            assert_eq!(kind(code, status), expected, "{code} {status}");
        }
    }
}
