//! The wasmtime engine: what a guest's code may consist of, and the clock that ends calls which run too long.

use std::thread;
use std::time::Duration;
use wasmill_stream::{Error, Result};
use wasmtime::{Config, Engine, WasmFeatures};

/// How exactly deadlines are kept.
const TICK: Duration = Duration::from_millis(10);

/// What compilers emit today and every engine runs the same way. Everything else is off: 64-bit memories, threads, relaxed
/// SIMD, garbage collection, exceptions, and the asynchronous part of the component model. Several memories in a module
/// are on because wasmtime itself links the parts of a component with such modules, and panics if they are not.
const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::COMPONENT_MODEL)
    .difference(WasmFeatures::GC_TYPES);

/// Whether calls are ended when their time is over. Always, but for the benchmark of what that costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadlines {
    Kept,
    Ignored,
}

/// An engine whose epoch, unless deadlines are ignored, advances every 10 ms for as long as anyone holds the engine.
pub(crate) fn start(deadlines: Deadlines) -> Result<Engine> {
    let engine = Engine::new(&config(deadlines))
        .map_err(|error| Error::invalid(format!("start the WebAssembly engine: {error:#}")))?;
    if deadlines == Deadlines::Ignored {
        return Ok(engine);
    }
    let weak = engine.weak();
    let tick = move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    // A thread of its own: deadlines must hold however busy the workers are.
    thread::Builder::new()
        .name("wasmill-ticker".to_owned())
        .spawn(tick)
        .map_err(|error| Error::unavailable("start the ticker thread").with_source(error))?;
    Ok(engine)
}

/// How many ticks from now `time` is over. The tick that is under way does not count.
pub(crate) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX / 2) + 1
}

/// Compiles a component to what [`wasmtime::component::Component::deserialize`] takes. The error has no place yet.
pub(crate) fn precompile(component: &[u8]) -> Result<Vec<u8>, String> {
    let engine =
        Engine::new(&config(Deadlines::Kept)).map_err(|error| format!("start the WebAssembly engine: {error:#}"))?;
    engine.precompile_component(component).map_err(|error| error.root_cause().to_string())
}

fn config(deadlines: Deadlines) -> Config {
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::all().difference(FEATURES), false)
        .wasm_features(FEATURES, true)
        .epoch_interruption(deadlines == Deadlines::Kept)
        // The bits of a NaN are the one thing that hardware may choose; a replay must give the same bytes anywhere.
        .cranelift_nan_canonicalization(true);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component of two that hand each other text, each with a memory of its own, is compiled: JavaScript's are such.
    #[test]
    fn components_within_a_component() {
        let text = r#"(component
            (component $callee
                (core module $code
                    (memory (export "memory") 1)
                    (func (export "reserve") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                    (func (export "take") (param i32 i32)))
                (core instance $code (instantiate $code))
                (func (export "take") (param "text" string)
                    (canon lift (core func $code "take") (memory (core memory $code "memory"))
                        (realloc (core func $code "reserve")))))
            (component $caller
                (import "take" (func $take (param "text" string)))
                (core module $memory (memory (export "memory") 1))
                (core instance $memory (instantiate $memory))
                (core func $take (canon lower (func $take) (memory (core memory $memory "memory"))))
                (core module $code (import "" "take" (func (param i32 i32))))
                (core instance (instantiate $code (with "" (instance (export "take" (func $take)))))))
            (instance $callee (instantiate $callee))
            (instance (instantiate $caller (with "take" (func $callee "take")))))"#;
        precompile(&wat::parse_str(text).expect("valid text")).expect("it is compiled");
    }
}
