//! The frames of a subscription.

use aws_sdk_kinesis::primitives::event_stream::{Header, HeaderValue, Message};
use aws_smithy_eventstream::frame::write_message_to;
use serde_json::{Value, json};

/// The empty frame at the beginning.
pub fn greeting() -> Vec<u8> {
    frame(&[(":message-type", "event"), (":event-type", "initial-response")], &json!({}))
}

/// Records, or the news that there are none.
pub fn event(payload: &Value) -> Vec<u8> {
    frame(&[(":message-type", "event"), (":event-type", "SubscribeToShardEvent")], payload)
}

/// An error in the middle of a subscription.
pub fn exception(code: &str, message: &str) -> Vec<u8> {
    frame(&[(":message-type", "exception"), (":exception-type", code)], &json!({"message": message}))
}

fn frame(headers: &[(&'static str, &str)], payload: &Value) -> Vec<u8> {
    let mut message = Message::new(payload.to_string().into_bytes());
    for (name, value) in headers.iter().copied().chain([(":content-type", "application/json")]) {
        message = message.add_header(Header::new(name, HeaderValue::String(value.to_owned().into())));
    }
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("the frame fits");
    bytes
}
