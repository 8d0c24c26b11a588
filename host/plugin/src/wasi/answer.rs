//! What each function of WASI says: the list of everything that a guest under the grant can see.

use super::clock::{NANOS_PER_MILLI, TICK};
use super::streams::{STDERR, STDIN, STDOUT};
use super::{Handle, Stopped};
use crate::sandbox::State;
use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{Resource, Val};
use wasmtime::{Result, StoreContextMut, bail};

/// More random bytes at once than any program needs.
const MAX_RANDOM: u64 = 64 << 10;
/// More handles than any program needs; each costs memory of the host.
const MAX_HANDLES: usize = 1_024;
/// How many bytes a guest may write at once.
const WRITABLE: u64 = 4_096;
/// The handle of something to wait for: it is always ready.
const POLLABLE: u32 = 3;
/// Any other handle.
const OTHER: u32 = 4;
/// What interfaces call the error for something that is not allowed.
const DENIED: [&str; 4] = ["access-denied", "access", "not-supported", "unsupported"];

/// Answers a call, or traps.
pub(super) fn answer(
    mut store: StoreContextMut<'_, State>,
    interface: &str,
    function: &str,
    ty: &ComponentFunc,
    arguments: &[Val],
    results: &mut [Val],
) -> Result<()> {
    let mut numbers = Vec::new();
    for argument in arguments {
        take_handles(&mut store, argument, &mut numbers)?;
    }
    let value = value(&mut store, interface, function, arguments, &numbers)?;
    match (value, results.first_mut()) {
        (Answer::Value(value), Some(result)) => *result = value,
        (Answer::Nothing, None) => {}
        (_, Some(result)) => *result = denied(ty, interface, function)?,
        (_, None) => return stop(format!("wasi:{interface}#{function} is not granted")),
    }
    Ok(())
}

enum Answer {
    Value(Val),
    Nothing,
    Denied,
}

fn value(
    store: &mut StoreContextMut<'_, State>,
    interface: &str,
    function: &str,
    arguments: &[Val],
    handles: &[u32],
) -> Result<Answer> {
    let done = || Val::Result(Ok(None));
    let empty = || Val::List(Vec::new());
    let value = match (interface, function) {
        ("cli/environment", "get-environment" | "get-arguments") => empty(),
        ("filesystem/preopens", "get-directories") => empty(),
        ("cli/environment", "initial-cwd") => Val::Option(None),
        ("cli/terminal-stdin" | "cli/terminal-stdout" | "cli/terminal-stderr", _) => Val::Option(None),
        ("filesystem/types", "filesystem-error-code") => Val::Option(None),
        ("cli/exit", _) => return stop("it ended itself through wasi:cli/exit"),
        ("cli/stdin", "get-stdin") => handle(store, STDIN)?,
        ("cli/stdout", "get-stdout") => handle(store, STDOUT)?,
        ("cli/stderr", "get-stderr") => handle(store, STDERR)?,
        ("sockets/instance-network", "instance-network") => handle(store, OTHER)?,
        ("clocks/wall-clock", "now") => {
            let (seconds, nanoseconds) = store.data().wasi.clock.time_of_day();
            time_of_day(seconds, nanoseconds)
        }
        ("clocks/wall-clock", "resolution") => time_of_day(0, NANOS_PER_MILLI as u32),
        ("clocks/monotonic-clock", "now") => Val::U64(store.data_mut().wasi.clock.monotonic()),
        ("clocks/monotonic-clock", "resolution") => Val::U64(TICK),
        ("clocks/monotonic-clock", _) => handle(store, POLLABLE)?,
        ("random/random" | "random/insecure", "get-random-bytes" | "get-insecure-random-bytes") => {
            random_bytes(store, arguments)?
        }
        ("random/random" | "random/insecure", "get-random-u64" | "get-insecure-random-u64") => {
            Val::U64(store.data_mut().wasi.random())
        }
        ("random/insecure-seed", "insecure-seed") => {
            let wasi = &mut store.data_mut().wasi;
            Val::Tuple(vec![Val::U64(wasi.random()), Val::U64(wasi.random())])
        }
        ("io/poll", "[method]pollable.ready") => Val::Bool(true),
        ("io/poll", "[method]pollable.block") => return Ok(Answer::Nothing),
        ("io/poll", "poll") => ready(arguments),
        ("io/error", "[method]error.to-debug-string") => Val::String(String::new()),
        ("io/streams", "[method]output-stream.subscribe" | "[method]input-stream.subscribe") => {
            handle(store, POLLABLE)?
        }
        ("io/streams", "[method]output-stream.check-write") => Val::Result(Ok(Some(Box::new(Val::U64(WRITABLE))))),
        ("io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => {
            write(store.data_mut(), arguments, handles)?;
            done()
        }
        ("io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => done(),
        ("io/streams", _) => Val::Result(Err(Some(Box::new(Val::Variant("closed".to_owned(), None))))),
        _ => return Ok(Answer::Denied),
    };
    Ok(Answer::Value(value))
}

/// The function's own error for something that is not allowed.
fn denied(ty: &ComponentFunc, interface: &str, function: &str) -> Result<Val> {
    if let Some(Type::Result(result)) = ty.results().next()
        && let Some(Type::Enum(errors)) = result.err()
        && let Some(name) = DENIED.into_iter().find(|denied| errors.names().any(|name| name == *denied))
    {
        return Ok(Val::Result(Err(Some(Box::new(Val::Enum(name.to_owned()))))));
    }
    stop(format!("wasi:{interface}#{function} is not granted"))
}

/// Ends the call.
fn stop<T>(words: impl Into<String>) -> Result<T> {
    Err(Stopped(words.into()).into())
}

fn handle(store: &mut StoreContextMut<'_, State>, number: u32) -> Result<Val> {
    let held = &mut store.data_mut().wasi.handles;
    if *held >= MAX_HANDLES {
        return stop(format!("it holds {MAX_HANDLES} handles of WASI and asked for one more"));
    }
    *held += 1;
    Ok(Val::Resource(Resource::<Handle>::new_own(number).try_into_resource_any(store)?))
}

/// The numbers of the handles that a call is given. Whether lent or given away, the host is done with them afterwards.
fn take_handles(store: &mut StoreContextMut<'_, State>, value: &Val, numbers: &mut Vec<u32>) -> Result<()> {
    match value {
        Val::Resource(handle) => {
            if handle.owned() {
                store.data_mut().wasi.dropped();
            }
            numbers.push(Resource::<Handle>::try_from_resource_any(*handle, store)?.rep());
            Ok(())
        }
        Val::List(values) => values
            .iter()
            .take_while(|value| matches!(value, Val::Resource(_)))
            .try_for_each(|value| take_handles(store, value, numbers)),
        Val::Option(Some(value)) => take_handles(store, value, numbers),
        _ => Ok(()),
    }
}

fn time_of_day(seconds: u64, nanoseconds: u32) -> Val {
    Val::Record(vec![("seconds".to_owned(), Val::U64(seconds)), ("nanoseconds".to_owned(), Val::U32(nanoseconds))])
}

fn random_bytes(store: &mut StoreContextMut<'_, State>, arguments: &[Val]) -> Result<Val> {
    let Some(&Val::U64(count)) = arguments.first() else { bail!("random bytes without a number") };
    if count > MAX_RANDOM {
        return stop(format!("it asked for {count} random bytes at once, at most {MAX_RANDOM} are possible"));
    }
    let wasi = &mut store.data_mut().wasi;
    Ok(Val::List((0..count).map(|_| Val::U8(wasi.random() as u8)).collect()))
}

/// Everything that is waited for is ready.
fn ready(arguments: &[Val]) -> Val {
    let count = match arguments.first() {
        Some(Val::List(handles)) => handles.len(),
        _ => 0,
    };
    Val::List((0..).take(count).map(Val::U32).collect())
}

fn write(state: &mut State, arguments: &[Val], handles: &[u32]) -> Result<()> {
    let ([_, Val::List(bytes), ..], Some(&stream)) = (arguments, handles.first()) else {
        bail!("a write without bytes")
    };
    let bytes: Vec<u8> =
        bytes.iter().map_while(|byte| if let Val::U8(byte) = byte { Some(*byte) } else { None }).collect();
    let State { wasi, log, .. } = state;
    wasi.streams.write(stream, &bytes, log);
    Ok(())
}
