//! What a running job does when it is asked over its socket.

use crate::control::{self, Answer, Control, Request};
use crate::live::{Change, Entry, Live};
use crate::terminal::Terminal;
use std::time::Duration;
use wasmill_stream::Result;

/// Serves the requests to a job, one after the other, until it is dropped.
pub async fn serve(control: Control, live: Live, terminal: Terminal) {
    loop {
        let (request, reply) = control.next().await;
        let answer = match answer(&live, &terminal, request).await {
            Ok(answer) => answer,
            Err(error) => {
                let reason = error.report();
                terminal.note(&reason);
                Answer::Refused(reason)
            }
        };
        reply.send(&answer).await;
    }
}

/// Does what was asked. Whoever looks at the job's terminal sees what has changed.
async fn answer(live: &Live, terminal: &Terminal, request: Request) -> Result<Answer> {
    let done = match request {
        Request::Swap { step, plugin, entry, reason } => {
            let entry = entry.into();
            live.swap(Change { step, plugin, bytes: None, entry, reason }).await?
        }
        Request::Settle { step, promote, reason } => live.settle(&step, promote, reason).await?,
        Request::RollBack { step, reason } => live.roll_back(&step, reason).await?,
        Request::Trial { step } => return live.trial(&step).await.map(Answer::Done),
        Request::History => return Ok(Answer::Events(live.history())),
    };
    terminal.note(&done);
    Ok(Answer::Done(done))
}

impl From<control::Entry> for Entry {
    fn from(entry: control::Entry) -> Self {
        match entry {
            control::Entry::TakeOver(probation) => Self::TakeOver(probation.map(Duration::from_millis)),
            control::Entry::Shadow(time) => Self::Shadow(Duration::from_millis(time)),
            control::Entry::Canary(key_groups) => Self::Canary { key_groups },
        }
    }
}
