//! Tells when a service falls silent, and when it is back.

use serde::Serialize;
use std::time::Duration;
use wasmill::{Accumulator, Context, Fields, Json, Process, Settings, Time};

#[derive(Settings)]
struct Silence {
    /// A service without an event for so many seconds is silent.
    #[setting(default = 300, minimum = 1)]
    after_seconds: u64,
}

/// Any event will do: none of its fields is looked at.
#[derive(Fields)]
struct Event {}

/// What is kept of a key.
#[derive(Default, Accumulator)]
struct Last {
    seen: Time,
    silent: bool,
}

#[derive(Serialize)]
struct Change {
    service: String,
    now: &'static str,
    last_seen: Time,
}

impl Process for Silence {
    type Row = Event;
    type State = Last;
    type Output = Json<Change>;

    fn row(&self, state: &mut Option<Last>, _event: Event, context: &mut Context<'_, Self::Output>) {
        if let Some(Last { seen, silent: true }) = *state {
            let service = context.key().text().into_owned();
            context.emit(Json(Change { service, now: "back", last_seen: seen }));
        }
        *state = Some(Last { seen: context.time(), silent: false });
        context.set_timer(context.time() + Duration::from_secs(self.after_seconds));
    }

    /// Each row sets a timer; that of the last row finds that nothing has come since.
    fn timer(&self, state: &mut Option<Last>, context: &mut Context<'_, Self::Output>) {
        let Some(last) = state else { return };
        if !last.silent && last.seen + Duration::from_secs(self.after_seconds) <= context.time() {
            last.silent = true;
            let service = context.key().text().into_owned();
            context.emit(Json(Change { service, now: "silent", last_seen: last.seen }));
        }
    }
}

wasmill::process!(Silence);
