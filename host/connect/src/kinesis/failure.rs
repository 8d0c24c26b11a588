//! What a failed call to Kinesis means for the reader beyond what it means for every caller of AWS: a new iterator, another place.

use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

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
