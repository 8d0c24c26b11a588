//! Lines for the host's log, which adds job, step and plugin to them. In native tests they go to stderr.
//!
//! ```
//! wasmill::log::info!("{} zones", 9);
//! ```

use std::fmt;
use std::sync::Once;

pub use crate::bindings::log::Level;
pub use crate::{log_debug as debug, log_error as error, log_info as info, log_warn as warn};

/// Writes a line at level debug.
#[macro_export]
#[doc(hidden)]
macro_rules! log_debug { ($($text:tt)*) => { $crate::log::write($crate::log::Level::Debug, format_args!($($text)*)) } }

/// Writes a line at level info.
#[macro_export]
#[doc(hidden)]
macro_rules! log_info { ($($text:tt)*) => { $crate::log::write($crate::log::Level::Info, format_args!($($text)*)) } }

/// Writes a line at level warn.
#[macro_export]
#[doc(hidden)]
macro_rules! log_warn { ($($text:tt)*) => { $crate::log::write($crate::log::Level::Warn, format_args!($($text)*)) } }

/// Writes a line at level error.
#[macro_export]
#[doc(hidden)]
macro_rules! log_error { ($($text:tt)*) => { $crate::log::write($crate::log::Level::Error, format_args!($($text)*)) } }

/// Writes a line; the macros of this module call it.
pub fn write(level: Level, line: fmt::Arguments<'_>) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::log::log(level, &line.to_string());
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {line}");
}

/// From now on a panic is logged before it traps: the host would only see an unreachable instruction. Plugins that are written
/// with the macros of this crate do so by themselves.
pub fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|panic| error!("{panic}"))));
}
