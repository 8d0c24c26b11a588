//! Rust types and calls for the contract in `wit/`, made by wasmtime's macro. One world of our own holds the interfaces
//! of all kinds, so that they share their types; which of them a component exports is checked when it is loaded.
//! Borrowed parameters: columns are lowered from the host's slices as they are.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package wasmill:host;

        world every-kind {
            import wasmill:plugin/log@0.1.0;
            import wasmill:plugin/metrics@0.1.0;
            export wasmill:plugin/lifecycle@0.1.0;
            export wasmill:plugin/transformer@0.1.0;
            export wasmill:plugin/aggregation@0.1.0;
            export wasmill:plugin/processing@0.1.0;
        }
    ",
    world: "wasmill:host/every-kind",
    ownership: Borrowing { duplicate_if_necessary: true },
});
