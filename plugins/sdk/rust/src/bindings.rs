//! The bindings, one small world per exported interface: the two worlds of the contract share `lifecycle`, which must exist
//! once. Each `export!` macro embeds the type of its own world, so a plugin carries only what it exports; together they
//! are a world of the contract.

#[allow(missing_docs, unsafe_code, clippy::all)]
pub mod lifecycle {
    wit_bindgen::generate!({
        inline: "
            package wasmill:sdk;
            world lifecycle {
                import wasmill:plugin/log@0.1.0;
                export wasmill:plugin/lifecycle@0.1.0;
            }
        ",
        path: "../../../wit",
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        generate_all,
    });
}

#[allow(missing_docs, unsafe_code, clippy::all)]
pub mod transformer {
    wit_bindgen::generate!({
        inline: "
            package wasmill:sdk;
            world transformer {
                export wasmill:plugin/transformer@0.1.0;
            }
        ",
        path: "../../../wit",
        pub_export_macro: true,
        export_macro_name: "export_transformer",
        additional_derives: [PartialEq],
        generate_all,
    });
}

#[allow(missing_docs, unsafe_code, clippy::all)]
pub mod aggregation {
    wit_bindgen::generate!({
        inline: "
            package wasmill:sdk;
            world aggregation {
                export wasmill:plugin/aggregation@0.1.0;
            }
        ",
        path: "../../../wit",
        pub_export_macro: true,
        export_macro_name: "export_aggregation",
        additional_derives: [PartialEq],
        with: { "wasmill:plugin/types@0.1.0": crate::bindings::transformer::wasmill::plugin::types },
    });
}

pub use aggregation::export_aggregation;
pub use aggregation::exports::wasmill::plugin::aggregation as aggregate;
pub use lifecycle::export_lifecycle;
pub use lifecycle::exports::wasmill::plugin::lifecycle::{Description, Guest as Lifecycle, Needs};
pub use lifecycle::wasmill::plugin::log;
pub use transformer::export_transformer;
pub use transformer::exports::wasmill::plugin::transformer::{Guest as Transformer, Output};
pub use transformer::wasmill::plugin::types::{Batch, Binary, Cells, Column, Reject};

/// Who the plugin is. It is the first call on an instance, so panics are reported from here on.
pub fn describe(name: &str, version: &str) -> Description {
    crate::log::report_panics();
    Description { name: name.to_owned(), version: version.to_owned() }
}
