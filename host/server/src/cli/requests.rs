//! What a running job does when it is asked over its socket.

use crate::control::{Answer, Control, Request};
use crate::offer::{Offer, Steps};
use wasmill_stream::Result;

/// Serves the requests to one job, one after the other, until it is dropped.
pub async fn serve(steps: Steps, control: Control) -> Result<()> {
    loop {
        let (request, reply) = control.next().await;
        let Request::Swap { step, plugin } = request;
        let answer = match steps.swap(&step, Offer { path: plugin, bytes: None }).await {
            Ok(done) => Answer::Done(done),
            Err(error) => Answer::Refused(error.report()),
        };
        let (Answer::Done(words) | Answer::Refused(words)) = &answer;
        steps.terminal.note(words);
        reply.send(&answer).await;
    }
}
