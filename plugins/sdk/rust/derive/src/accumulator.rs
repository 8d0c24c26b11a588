//! `#[derive(Accumulator)]`: impls of `wasmill::accumulator::{Accumulator, Plain}`, field after field at fixed places.

use crate::fields::named_fields;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Result};

pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let fields = named_fields(input, "Accumulator")?;
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new_spanned(parameter, "#[derive(Accumulator)] allows no parameters"));
    }
    let name = &input.ident;
    let text = name.to_string();
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let names: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    Ok(quote! {
        const _: () = {
            use ::wasmill::accumulator::{Accumulator, Plain, read_plain};
            impl Plain for #name {
                const SIZE: usize = 0 #(+ <#types as Plain>::SIZE)*;

                #[inline]
                fn put(&self, bytes: &mut ::std::vec::Vec<u8>) {
                    #(self.#names.put(bytes);)*
                }

                #[inline]
                fn take(bytes: &mut &[u8]) -> ::std::option::Option<Self> {
                    Some(Self { #(#names: Plain::take(bytes)?,)* })
                }
            }

            impl Accumulator for #name {
                #[inline]
                fn encode(&self, bytes: &mut ::std::vec::Vec<u8>) -> ::std::result::Result<(), ::std::string::String> {
                    self.put(bytes);
                    Ok(())
                }

                #[inline]
                fn decode(bytes: &[u8]) -> ::std::result::Result<Self, ::std::string::String> {
                    read_plain(bytes, #text)
                }
            }
        };
    })
}
