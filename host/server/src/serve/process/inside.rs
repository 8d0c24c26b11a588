//! The process of a tenant, seen from inside: confines itself, runs the jobs of the tenant, and answers what the host asks. It ends
//! when it is told to, with checkpoints; at once when the host has gone, as the next one starts another.

use super::channel::Channel;
use super::message::{Beginning, Order, Word};
use crate::log::Format;
use crate::serve::api;
use crate::serve::egress::CREDENTIALS;
use crate::serve::fleet::{Fleet, Ways};
use crate::serve::front::{Peer, talk};
use crate::serve::{Home, follow};
use crate::terminal::Terminal;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_blocking;
use wasmill_stream::access::WayOut;
use wasmill_stream::{Error, Result};

/// The process could not begin, and has said why.
const REFUSED: u8 = 78;
/// The host has gone.
const ORPHANED: i32 = 70;

/// Does all of it. Call this before there is a second thread. `runtime`: makes the one of sources and sinks.
pub fn inside(runtime: impl FnOnce() -> Result<Runtime>) -> ExitCode {
    let begun = begin();
    let Ok((channel, beginning, way)) = begun.inspect_err(|error| eprintln!("{}", error.report())) else {
        return ExitCode::from(REFUSED);
    };
    let terminal = Terminal::start(Format::Json).of_host();
    let ended = runtime().and_then(|runtime| {
        let ended = runtime.block_on(run(channel, *beginning, way, &terminal));
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.error(&error.report());
            ExitCode::FAILURE
        }
    }
}

/// Hears what the process is for, and confines it.
fn begin() -> Result<(Channel, Box<Beginning>, WayOut)> {
    let failed = |error| Error::invalid("hear what this process is for: a host starts it").with_source(error);
    let channel = Channel::of_stdin().map_err(failed)?;
    let Some((Order::Begin(beginning), _)) = channel.receive().map_err(failed)? else {
        return Err(Error::invalid("this is the command of a process that a host starts by itself"));
    };
    let confined = beginning.confinement.apply().and_then(|()| {
        let failed = |error| Error::unavailable("listen on its own loopback").with_source(error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        Ok((listener.local_addr().map_err(failed)?, listener))
    });
    match confined {
        Ok((at, listener)) => {
            // The host listens there from now on, and nobody here.
            channel.send(&Word::Ready, Some(listener.as_fd())).map_err(failed)?;
            let password = beginning.password.clone();
            let way = WayOut { address: format!("http://{at}"), user: String::new(), password };
            Ok((channel, beginning, way))
        }
        Err(error) => {
            channel.send(&Word::Refused(error.report()), None).map_err(failed)?;
            Err(error)
        }
    }
}

async fn run(channel: Channel, beginning: Beginning, way: WayOut, terminal: &Terminal) -> Result<()> {
    let Beginning { home, tenant, settings, .. } = beginning;
    let home = Home::open(&home)?;
    terminal.logs().write_files(&home)?;
    let lends = format!("{}{CREDENTIALS}", way.address);
    let ways = Ways { out: way, credentials: Some(lends) };
    let fleet = Arc::new(Fleet::of_tenant(home, &tenant, settings, ways, terminal.clone()));
    fleet.look()?;
    let (heard, mut orders) = unbounded_channel();
    std::thread::Builder::new()
        .name("wasmill-host".to_owned())
        .spawn(move || hear(&channel, &heard))
        .map_err(|error| Error::unavailable("start the thread that hears the host").with_source(error))?;
    let following = tokio::spawn(follow(fleet.clone(), terminal.clone()));
    obey(&fleet, &mut orders).await;
    following.abort();
    fleet.leave().await
}

/// Hears the host until it has gone, which is the end.
fn hear(channel: &Channel, heard: &UnboundedSender<(Order, Option<OwnedFd>)>) {
    while let Ok(Some(order)) = channel.receive::<Order>() {
        // It is there as long as the process is.
        let _ = heard.send(order);
    }
    std::process::exit(ORPHANED);
}

/// Does what the host says, until it says that this is all.
async fn obey(fleet: &Arc<Fleet>, orders: &mut UnboundedReceiver<(Order, Option<OwnedFd>)>) {
    let router = api::inner(fleet.clone());
    while let Some(order) = orders.recv().await {
        match order {
            (Order::Answer, Some(file)) => {
                let stream = UnixStream::from(file);
                if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(stream))
                {
                    let router = router.clone();
                    tokio::spawn(async move { talk(stream, Peer::Unix(None), router).await });
                }
            }
            (Order::Follow(settings), _) => {
                let fleet = fleet.clone();
                // What is wrong with a look is said by whoever looks from time to time.
                let _ = spawn_blocking(move || {
                    fleet.hand(*settings);
                    fleet.look()
                })
                .await;
            }
            (Order::End, _) => return,
            (Order::Begin(_) | Order::Answer, _) => {}
        }
    }
}
