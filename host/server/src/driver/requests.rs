//! What a running job does when it is asked over its socket.

use crate::control::{self, Answer, Client, Control, Request};
use crate::explain;
use crate::live::apply::Applied;
use crate::live::hand_over::HandOver;
use crate::live::{Change, Entry, Live};
use crate::terminal::Terminal;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::Instrument;
use wasmill_plugin::{Grant, Grants};
use wasmill_stream::{Error, Result};

/// What comes of a request.
enum Outcome {
    Answer(Answer),
    /// Whoever hands the job over answers.
    HandOver(Box<HandOver>),
}

/// So many clients are heard at a time.
const CLIENTS: usize = 64;

/// Serves the requests to a job until it is dropped, each by itself: nobody waits for a client that is silent, or for a plugin
/// that is being built. Whatever changes the job does so in its turn.
pub async fn serve(control: Control, live: Live, terminal: Terminal) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            client = control.accept(), if clients.len() < CLIENTS => {
                clients.spawn(answer(client, live.clone(), terminal.clone()).in_current_span());
            }
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn answer(client: Client, live: Live, terminal: Terminal) {
    let Some((request, reply)) = client.request().await else { return };
    match act(&live, &terminal, request).await {
        Ok(Outcome::Answer(answer)) => reply.send(&answer).await,
        Ok(Outcome::HandOver(hand_over)) => live.send_over(HandOver { reply: Some(reply), ..*hand_over }),
        Err(error) => {
            let reason = error.report();
            terminal.note(&reason);
            reply.send(&Answer::Refused(reason)).await;
        }
    }
}

/// Does what was asked. Whoever looks at the job's terminal sees what has changed.
async fn act(live: &Live, terminal: &Terminal, request: Request) -> Result<Outcome> {
    let done = match request {
        Request::Swap { step, plugin, grants, entry, reason } => {
            let (entry, grants) = (entry.into(), read_grants(&grants)?);
            live.swap(Change { step, plugin, given: None, grants, entry, reason }).await?
        }
        Request::Settle { step, promote, reason } => live.settle(&step, promote, reason).await?,
        Request::RollBack { step, rewind: true, reason } => {
            return live.rewind(&step, reason).await.map(|hand_over| Outcome::HandOver(Box::new(hand_over)));
        }
        Request::RollBack { step, rewind: false, reason } => live.roll_back(&step, reason).await?,
        Request::Apply { reason } => match live.apply(reason.clone()).await {
            Ok(Applied::Done(done)) => done,
            Ok(Applied::HandOver(hand_over)) => return Ok(Outcome::HandOver(hand_over)),
            Err(error) => {
                live.refuse_file(reason, &error).await;
                return Err(error);
            }
        },
        Request::Trial { step } => return live.trial(&step).await.map(Answer::Done).map(Outcome::Answer),
        Request::Explain { step, key } => {
            let explained = explain::explain(live.lookouts(), &step, key).await?;
            return Ok(Outcome::Answer(Answer::Explained(Box::new(explained))));
        }
        Request::History => return Ok(Outcome::Answer(Answer::Events(live.history()))),
    };
    terminal.note(&done);
    Ok(Outcome::Answer(Answer::Done(done)))
}

fn read_grants(names: &[String]) -> Result<Grants> {
    names.iter().map(|name| name.parse::<Grant>()).collect::<Result<_, _>>().map_err(Error::invalid)
}

impl From<control::Entry> for Entry {
    fn from(entry: control::Entry) -> Self {
        match entry {
            control::Entry::TakeOver { probation, open_windows } => {
                Self::TakeOver { probation: probation.map(Duration::from_millis), open_windows }
            }
            control::Entry::Shadow(time) => Self::Shadow(Duration::from_millis(time)),
            control::Entry::Canary(key_groups) => Self::Canary { key_groups },
        }
    }
}
