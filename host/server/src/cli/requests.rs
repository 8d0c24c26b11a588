//! What a running job does when it is asked over its socket.

use crate::control::{Answer, Control, Request};
use crate::live::{Change, Live};
use crate::terminal::Terminal;

/// Serves the requests to a job, one after the other, until it is dropped.
pub async fn serve(control: Control, live: Live, terminal: Terminal) {
    loop {
        let (request, reply) = control.next().await;
        let Request::Swap { step, plugin } = request;
        let answer = match live.swap(Change { step, plugin, bytes: None }).await {
            Ok(done) => Answer::Done(done),
            Err(error) => Answer::Refused(error.report()),
        };
        let (Answer::Done(words) | Answer::Refused(words)) = &answer;
        terminal.note(words);
        reply.send(&answer).await;
    }
}
