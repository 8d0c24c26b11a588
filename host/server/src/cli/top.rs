//! `wasmill top`: the jobs of a host on one screen, or as one table.

mod columns;
mod screen;
mod words;

use super::Exit;
use super::host::HostArguments;
use crate::client::Client;
use crate::serve::JobStatus;
use console::{Key, Term};
use reqwest::Method;
use screen::{Flow, Screen};
use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;
use wasmill_stream::units::Period;
use wasmill_stream::{Error, Result};

/// Show the jobs of a host as they run: rates, lag, watermarks, checkpoints, plugins
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A row is a job. IN/S and OUT/S are records read and rows that are safe in sinks, per second; LAG is how far reading is behind the ends
of its splits, if their servers say; EVENT is how far its watermark is behind the clock, CKPT how old its last checkpoint is; DEAD
counts dead letters, FAILED how often it was started again.

Keys:
  up, down, j, k      choose a job          enter   its steps; esc goes back
  n t s i o l e c d f   sort by name, tenant, state, in, out, lag, event, ckpt, dead, failed; once more: the other way round
  /                   show only jobs with a text in their name, tenant or state; esc shows all
  q, Ctrl-C           leave

The host is the one that listens on http://127.0.0.1:9180, or that --host or WASMILL_HOST names; WASMILL_TOKEN holds a token that
may `read`. NO_COLOR: no colours.

Examples:
  wasmill top
  wasmill top --host unix:/var/lib/wasmill/api.sock
  wasmill top --once | grep failed")]
pub struct Arguments {
    #[command(flatten)]
    host: HostArguments,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "2s")]
    interval: Period,
    /// Print one plain table and end
    #[arg(long)]
    once: bool,
}

/// What can happen.
enum Event {
    Key(Key),
    Jobs(Result<Vec<JobStatus>>),
    /// Nobody types any more.
    Closed,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    let client = arguments.host.client()?;
    if arguments.once {
        let text: String = screen::table(&jobs(&client)?).iter().map(|line| format!("{}\n", line.trim_end())).collect();
        return match std::io::stdout().lock().write_all(text.as_bytes()) {
            Ok(()) => Ok(Exit::Done),
            // Whoever reads it has seen enough, such as `head`.
            Err(_) => Ok(Exit::Unread),
        };
    }
    let term = Term::stdout();
    if !term.is_term() {
        return Err(Error::invalid("standard output is no terminal").hint("--once prints a table"));
    }
    let (events, happens) = channel();
    let host = client.place().to_string();
    look(client, arguments.interval.duration(), events.clone());
    listen(term.clone(), events);
    let _restored = Alternate::enter(&term)?;
    let mut screen = Screen::new(host);
    draw(&term, &screen)?;
    for event in happens {
        match event {
            Event::Jobs(jobs) => screen.show(jobs),
            Event::Key(key) if screen.press(&key) == Flow::Leave => break,
            Event::Key(_) => {}
            Event::Closed => break,
        }
        draw(&term, &screen)?;
    }
    Ok(Exit::Done)
}

/// The jobs as they are now.
fn jobs(client: &Client) -> Result<Vec<JobStatus>> {
    client.ask(Method::GET, "/api/v1/jobs", None)
}

/// Asks the host now and then, as long as somebody listens.
fn look(client: Client, interval: Duration, events: Sender<Event>) {
    thread::spawn(move || {
        while events.send(Event::Jobs(jobs(&client))).is_ok() {
            thread::sleep(interval);
        }
    });
}

/// Hears what is typed.
fn listen(term: Term, events: Sender<Event>) {
    thread::spawn(move || {
        loop {
            let event = term.read_key_raw().map_or(Event::Closed, Event::Key);
            let is_last = matches!(event, Event::Closed);
            if events.send(event).is_err() || is_last {
                return;
            }
        }
    });
}

fn draw(term: &Term, screen: &Screen) -> Result<()> {
    let (height, width) = term.size();
    let lines = screen.draw(width.into(), height.into(), console::colors_enabled());
    // From the top, each line to its end, then whatever is left: nothing flickers.
    let text: String = lines.iter().map(|line| format!("{line}\x1b[K\r\n")).collect();
    let text = text.trim_end_matches("\r\n");
    let failed = |error| Error::closed("write to the terminal").with_source(error);
    term.write_str(&format!("\x1b[H{text}\x1b[J")).and_then(|()| term.flush()).map_err(failed)
}

/// The other screen of the terminal, until this is dropped: what was there before comes back.
struct Alternate(Term);

impl Alternate {
    fn enter(term: &Term) -> Result<Self> {
        let failed = |error| Error::closed("write to the terminal").with_source(error);
        term.write_str("\x1b[?1049h\x1b[?25l").map_err(failed)?;
        Ok(Self(term.clone()))
    }
}

impl Drop for Alternate {
    fn drop(&mut self) {
        // The terminal may have gone.
        let _ = self.0.write_str("\x1b[?25h\x1b[?1049l");
    }
}
