//! Keyed logic with state and event-time timers as a plugin.

mod context;
mod player;
#[doc(hidden)]
pub mod plugin;
mod trial;

pub use context::Context;
pub use trial::{Emitted, Trial};

use crate::{Accumulator, Failure, Fault, Output, Row, Settings};

/// Logic over the rows of a key, one after the other, with a state and timers of that key: alerts, deduplication, sessions by
/// hand. The host keeps states and timers. The type is its settings, as with [`Transform`](crate::Transform).
///
/// A key that falls silent, whole:
///
/// ```
/// use wasmill::{Accumulator, Context, Fields, Json, Process, Settings, Time};
/// use std::time::Duration;
///
/// #[derive(Settings)]
/// struct Silence {
///     #[setting(default = "10m")]
///     after: Duration,
/// }
///
/// #[derive(Fields)]
/// struct Reading {
///     level: f64,
/// }
///
/// #[derive(Default, Accumulator)]
/// struct Last {
///     level: f64,
///     due: Time,
/// }
///
/// impl Process for Silence {
///     type Row = Reading;
///     type State = Last;
///     type Output = Json<String>;
///
///     fn row(&self, state: &mut Option<Last>, row: Reading, context: &mut Context<'_, Self::Output>) {
///         let last = state.get_or_insert_default();
///         context.delete_timer(last.due);
///         *last = Last { level: row.level, due: context.time() + self.after };
///         context.set_timer(last.due);
///     }
///
///     fn timer(&self, state: &mut Option<Last>, context: &mut Context<'_, Self::Output>) {
///         if let Some(last) = state.take() {
///             context.emit(Json(format!("{} was last at {}", context.key().text(), last.level)));
///         }
///     }
/// }
///
/// wasmill::process!(Silence);
/// # fn main() {}
/// ```
///
/// [`Trial`] plays a process in tests.
pub trait Process: Settings {
    /// What it takes. If that borrows, write the lifetime as `'static` here and `'_` in `row`. The key is in the context.
    type Row: Row;
    /// What it keeps per key.
    type State: Accumulator;
    /// What it emits: [`Json`](crate::Json), [`Emit`](crate::Emit), or an enum with `#[derive(Outputs)]`.
    type Output: Output;

    /// The version of the layout of the state. Count it up when you change its fields, and write `migrate`.
    const STATE_VERSION: u32 = 1;

    /// Refuses a row before it changes anything. Takes all rows unless written.
    fn check(&self, _row: &<Self::Row as Row>::Of<'_>, _state: Option<&Self::State>) -> Result<(), Fault> {
        Ok(())
    }

    /// Processes a row. `None` is no state: a key has none before its first row, and again when it is set to `None`.
    fn row(
        &self,
        state: &mut Option<Self::State>,
        row: <Self::Row as Row>::Of<'_>,
        context: &mut Context<'_, Self::Output>,
    );

    /// Processes a timer, which is at `context.time()`. It may fire for a key whose state is gone.
    fn timer(&self, _state: &mut Option<Self::State>, _context: &mut Context<'_, Self::Output>) {}

    /// Reads a state that an older version of the plugin wrote. Knows no older version unless written.
    fn migrate(&self, from_version: u32, _state: &[u8]) -> Result<Self::State, Failure> {
        Err(crate::accumulator::unknown_version(from_version, Self::STATE_VERSION))
    }

    /// Where a field of the row is: at the pointer that it declares, unless a setting chooses another.
    fn pointer<'a>(&'a self, declared: &'a str) -> &'a str {
        declared
    }
}

/// Makes a plugin of a [`Process`]. Once per crate, in its root.
#[macro_export]
macro_rules! process {
    ($type:ty) => {
        const _: () = {
            use $crate::bindings::process;

            struct Component;

            impl $crate::bindings::Lifecycle for Component {
                fn describe() -> $crate::bindings::Description {
                    $crate::describe!($type, <$type as $crate::Process>::STATE_VERSION)
                }

                fn configure(settings: String) -> Result<$crate::Needs, String> {
                    $crate::process::plugin::configure::<$type>(&settings)
                }

                fn migrate(
                    from_version: u32,
                    states: $crate::Binary,
                ) -> Result<$crate::Binary, $crate::bindings::Failure> {
                    $crate::process::plugin::call(|plugin| plugin.migrate(from_version, &states))
                }
            }

            impl process::Guest for Component {
                fn process(turn: process::Turn) -> Result<process::Output, $crate::bindings::Failure> {
                    $crate::process::plugin::call(|plugin| plugin.process(&turn))
                }
            }

            // Without WebAssembly nothing calls the plugin; it is still no dead code.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn(String) -> Result<$crate::Needs, String> =
                <Component as $crate::bindings::Lifecycle>::configure;
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export_lifecycle!(Component with_types_in $crate::bindings::lifecycle);
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export_processing!(Component with_types_in $crate::bindings::processing);
        };
    };
}
