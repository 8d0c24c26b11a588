//! The grant `wasi = "inert"`: WASI 0.2 for guests whose toolchain cannot do without it, where everything is there and
//! nothing happens. No files, no sockets, no environment, no arguments; standard output and error are the plugin's log.
//! Random numbers are the same in each instance.
//!
//! The clocks are those of event time. The time of day is the latest event time that a call is given:
//! * `transform`, `accumulate`: of its rows;
//! * `process`: of its rows and the watermark, once there is one; after the last row of all, of the timers;
//! * `finish`: the end of its latest window;
//! * `merge`, `migrate` and whatever runs before the first row are given none: 1970.
//!
//! It stands still during a call, and depends on nothing but the call: not on the calls before, so that a fresh instance
//! sees what the one before it saw. From call to call it goes back as event time does. It is shown from 1970 to 2262.
//! The monotonic clock goes on by a microsecond each time it is read, over all calls to an instance, and never back.
//!
//! The same call has the same clock. But which rows share a call depends on how the source was read, on the workers, and
//! on failures, after which a batch is called again in halves. So a guest that looks at the clock can give other results
//! for the same rows; one that takes the time of the row, or the bounds of the window, cannot.
//!
//! By hand, in place of the crate wasmtime-wasi with an empty context: that one brings tokio, cap-std and asynchronous
//! wasmtime into every build, and code for files and sockets into the process, which then must be kept from doing
//! anything. Whatever is not listed in `answer.rs` fails with the function's own error for "denied", or traps.

use crate::sandbox::State;
use clock::Clock;
use std::fmt;
use wasmtime::StoreContextMut;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};

mod answer;
mod clock;
mod streams;

pub(crate) use streams::Streams;

/// The packages of which a guest may import interfaces.
const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// Every resource: a handle that opens nothing. Its number says which one it is.
pub(crate) struct Handle;

/// Why a call into WASI ended the guest.
#[derive(Debug)]
pub(crate) struct Stopped(String);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stopped {}

/// What WASI keeps for an instance.
#[derive(Default)]
pub(crate) struct Inert {
    pub(crate) clock: Clock,
    /// Where the random numbers are.
    random: u64,
    /// How many handles the guest holds.
    handles: usize,
    pub(crate) streams: Streams,
}

impl Inert {
    /// The next random number: SplitMix64, whose seed is the same for all.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The guest holds a handle less.
    fn dropped(&mut self) {
        self.handles = self.handles.saturating_sub(1);
    }
}

/// The name of an interface of WASI 0.2 without package prefix and version, such as `cli/stdout`; any patch version.
pub(crate) fn interface(import: &str) -> Option<&str> {
    let (name, version) = import.strip_prefix("wasi:")?.split_once('@')?;
    let (package, _) = name.split_once('/')?;
    (version.starts_with("0.2.") && PACKAGES.contains(&package)).then_some(name)
}

/// Offers whatever of WASI the component imports.
pub(crate) fn offer(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (import, item) in component.component_type().imports(&engine) {
        let (Some(interface), ComponentItem::ComponentInstance(items)) = (interface(import), item.ty) else { continue };
        let mut instance = linker.instance(import)?;
        for (name, item) in items.exports(&engine) {
            offer_item(&mut instance, interface, name, &item.ty)?;
        }
    }
    Ok(())
}

fn offer_item(
    instance: &mut LinkerInstance<'_, State>,
    interface: &str,
    name: &str,
    item: &ComponentItem,
) -> wasmtime::Result<()> {
    match item {
        ComponentItem::Resource(_) => {
            instance.resource(name, ResourceType::host::<Handle>(), |mut store: StoreContextMut<'_, State>, _| {
                store.data_mut().wasi.dropped();
                Ok(())
            })
        }
        ComponentItem::ComponentFunc(_) => {
            let (interface, function) = (interface.to_owned(), name.to_owned());
            instance.func_new(name, move |store, ty, arguments, results| {
                answer::answer(store, &interface, &function, &ty, arguments, results)
            })
        }
        // Types need no offer. Anything else is no part of WASI: instantiation fails for want of it.
        _ => Ok(()),
    }
}
