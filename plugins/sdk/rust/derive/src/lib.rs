//! The derive macros of the `wasmill` crate, which re-exports and documents them. They only write impls of its traits;
//! how cells are read and accumulators are coded is decided there.

mod accumulator;
mod case;
mod fields;
mod outputs;
mod settings;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct a row of decoded fields. See `wasmill::Row`.
#[proc_macro_derive(Fields, attributes(field))]
pub fn fields(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    fields::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Gives a struct of plain numbers the fixed-size accumulator format. See `wasmill::Accumulator`.
#[proc_macro_derive(Accumulator)]
pub fn accumulator(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    accumulator::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum the outputs of a transform or process, one variant each. See `wasmill::Output`.
#[proc_macro_derive(Outputs, attributes(output))]
pub fn outputs(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    outputs::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct, or an enum without contents, readable from the settings of a step. See `wasmill::Settings`.
#[proc_macro_derive(Settings, attributes(setting))]
pub fn settings(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    settings::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
