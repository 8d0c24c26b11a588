//! The bindings, one small world per exported interface: the worlds of the contract share `lifecycle` and `types`, which must
//! exist once. Each `export!` macro embeds the type of its own world, so a plugin carries only what it exports; together
//! they are a world of the contract.

#[allow(missing_docs, unsafe_code, clippy::all)]
pub mod lifecycle {
    wit_bindgen::generate!({
        inline: "
            package wasmill:sdk;
            world lifecycle {
                import wasmill:plugin/log@0.1.0;
                import wasmill:plugin/metrics@0.1.0;
                export wasmill:plugin/lifecycle@0.1.0;
            }
        ",
        path: "../../../wit",
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        additional_derives: [PartialEq],
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
        with: { "wasmill:plugin/types@0.1.0": crate::bindings::lifecycle::wasmill::plugin::types },
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
        with: { "wasmill:plugin/types@0.1.0": crate::bindings::lifecycle::wasmill::plugin::types },
    });
}

#[allow(missing_docs, unsafe_code, clippy::all)]
pub mod processing {
    wit_bindgen::generate!({
        inline: "
            package wasmill:sdk;
            world processing {
                export wasmill:plugin/processing@0.1.0;
            }
        ",
        path: "../../../wit",
        pub_export_macro: true,
        export_macro_name: "export_processing",
        additional_derives: [PartialEq],
        with: { "wasmill:plugin/types@0.1.0": crate::bindings::lifecycle::wasmill::plugin::types },
    });
}

pub use aggregation::export_aggregation;
pub use aggregation::exports::wasmill::plugin::aggregation as aggregate;
pub use lifecycle::export_lifecycle;
pub use lifecycle::exports::wasmill::plugin::lifecycle::{Description, Guest as Lifecycle, Needs, SideOutput};
pub use lifecycle::wasmill::plugin::types::{Batch, Binary, Cells, Column, Failure, Reject, Rows, SideRows};
pub use lifecycle::wasmill::plugin::{log, metrics};
pub use processing::export_processing;
pub use processing::exports::wasmill::plugin::processing as process;
pub use transformer::export_transformer;
pub use transformer::exports::wasmill::plugin::transformer::{Guest as Transformer, Output};

/// What `describe` answers. It is the first call on an instance, so panics are reported from here on.
pub fn describe<T: crate::Settings>(name: &str, version: &str, state_version: u32) -> Description {
    crate::log::report_panics();
    let settings = Some(crate::settings::schema::<T>());
    Description { name: name.to_owned(), version: version.to_owned(), settings, state_version }
}

/// Who the plugin is: the crate that this is written in.
#[macro_export]
#[doc(hidden)]
macro_rules! describe {
    ($settings:ty, $state_version:expr) => {
        $crate::bindings::describe::<$settings>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), $state_version)
    };
}
