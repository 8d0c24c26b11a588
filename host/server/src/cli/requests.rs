//! What a running job does when it is asked over its socket.

use crate::control::{Answer, Control, Request};
use crate::live::{Change, Live};
use crate::terminal::Terminal;
use wasmill_plugin::Grant;
use wasmill_stream::{Error, Result};

/// Serves the requests to a job, one after the other, until it is dropped.
pub async fn serve(control: Control, live: Live, terminal: Terminal) {
    loop {
        let (request, reply) = control.next().await;
        let done = match change(request) {
            Ok(change) => live.swap(change).await,
            Err(error) => Err(error),
        };
        let answer = match done {
            Ok(done) => Answer::Done(done),
            Err(error) => Answer::Refused(error.report()),
        };
        let (Answer::Done(words) | Answer::Refused(words)) = &answer;
        terminal.note(words);
        reply.send(&answer).await;
    }
}

fn change(Request::Swap { step, plugin, grants }: Request) -> Result<Change> {
    let grants = grants.iter().map(|name| name.parse::<Grant>()).collect::<Result<_, _>>().map_err(Error::invalid)?;
    Ok(Change { step, plugin, given: None, grants })
}
