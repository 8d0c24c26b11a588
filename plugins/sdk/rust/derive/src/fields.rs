//! `#[derive(Fields)]`: an impl of `wasmill::Row` that declares one field per struct field and reads them by row.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, GenericParam, LitStr, Result};

pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let fields = named_fields(input, "Fields")?;
    check_generics(input)?;
    let name = &input.ident;
    let (generics, arguments, _) = input.generics.split_for_impl();
    let row = input.generics.params.first().map(|_| quote!(<'row>));

    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let names: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let places: Vec<_> = (0..fields.len()).map(syn::Index::from).collect();
    let pointers = fields.iter().map(|field| pointer(field)).collect::<Result<Vec<_>>>()?;
    let cells: Vec<_> = (0..fields.len()).map(|at| format_ident!("cells{at}")).collect();

    Ok(quote! {
        const _: () = {
            use ::wasmill::row::{Field, Fields, Row};
            impl #generics Row for #name #arguments {
                type Of<'row> = #name #row;
                type Reader<'row> = (#(<#types as Field>::Cells<'row>,)*);
                const READS_VALUES: bool = false;

                fn declare(fields: &mut ::std::vec::Vec<::std::string::String>) {
                    #(fields.push(::wasmill::row::declaration::<#types>(#pointers));)*
                }

                fn open<'row>(
                    batch: &'row ::wasmill::Batch,
                    fields: &mut Fields<'row>,
                ) -> ::std::result::Result<Self::Reader<'row>, ::std::string::String> {
                    let _ = batch;
                    #(let #cells = fields.next::<#types>(#pointers)?;)*
                    Ok((#(#cells,)*))
                }

                #[inline]
                fn read<'row>(
                    reader: &mut Self::Reader<'row>,
                    row: usize,
                ) -> ::std::result::Result<Self::Of<'row>, ::wasmill::Reject> {
                    Ok(#name { #(#names: <#types as Field>::read(&mut reader.#places, row),)* })
                }
            }
        };
    })
}

/// The fields of a struct with named fields; an error at the type for anything else.
pub fn named_fields<'a>(input: &'a DeriveInput, derive: &str) -> Result<Vec<&'a Field>> {
    if let Data::Struct(data) = &input.data
        && let Fields::Named(fields) = &data.fields
    {
        return Ok(fields.named.iter().collect());
    }
    Err(Error::new(input.ident.span(), format!("#[derive({derive})] needs a struct with named fields")))
}

fn check_generics(input: &DeriveInput) -> Result<()> {
    let params = &input.generics.params;
    match params.first() {
        None => Ok(()),
        Some(GenericParam::Lifetime(_)) if params.len() == 1 => Ok(()),
        Some(_) => Err(Error::new(params.span(), "#[derive(Fields)] allows one lifetime and no type parameters")),
    }
}

/// What `#[field("…")]` says, else `/` and the name of the field.
fn pointer(field: &Field) -> Result<String> {
    let mut pointer = None;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("field")) {
        let text: LitStr = attribute.parse_args()?;
        if pointer.is_some() {
            return Err(Error::new(attribute.span(), "a field has one #[field(…)]; separate alternatives by `|`"));
        }
        if !text.value().split('|').all(|one| one.starts_with('/')) {
            return Err(Error::new(text.span(), "expected a JSON pointer such as \"/user/name\""));
        }
        pointer = Some(text.value());
    }
    let name = field.ident.as_ref().map(|name| name.unraw().to_string()).unwrap_or_default();
    Ok(pointer.unwrap_or_else(|| format!("/{name}")))
}
