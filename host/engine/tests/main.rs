//! The engine with native sources, plugins and sinks: what it promises, without WebAssembly, files or a network.

mod answers;
mod archive;
mod barriers;
mod bounds;
mod candidates;
mod checkpoints;
mod editions;
mod ends;
mod generations;
mod journals;
mod parts;
mod pressure;
mod shelf;
mod stalls;
mod swaps;
mod transitions;
mod trials;
mod vault;
mod world;
