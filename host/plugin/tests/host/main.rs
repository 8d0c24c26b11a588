//! The host against guests that misbehave in every way we could think of. The guests are written as WebAssembly text
//! and made into components here, so that no toolchain is needed; what an SDK makes of the contract is tested elsewhere.

mod clock;
mod contract;
mod determinism;
#[allow(dead_code)]
mod guest;
mod limits;
mod load;
mod metrics;
mod wasi;
