//! `#[derive(Fields)]`: an impl of `wasmill::Row` that declares one field per struct field and reads them by row.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, GenericParam, Ident, LitStr, Result, Token, Type};

pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let fields = named_fields(input, "Fields")?;
    check_generics(input)?;
    let name = &input.ident;
    let (generics, arguments, _) = input.generics.split_for_impl();
    let row = input.generics.params.first().map(|_| quote!(<'row>));

    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let names: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let indices: Vec<_> = (0..fields.len()).map(syn::Index::from).collect();
    let places = fields.iter().map(|field| Place::of(field)).collect::<Result<Vec<_>>>()?;
    let pointers: Vec<_> = places.iter().map(|place| &place.pointer).collect();
    let declarations = types.iter().zip(&places).map(|(kind, place)| place.declaration(kind));
    let cells: Vec<_> = (0..fields.len()).map(|at| format_ident!("cells{at}")).collect();

    Ok(quote! {
        const _: () = {
            use ::wasmill::row::{Declaration, Field, Fields, Row};
            impl #generics Row for #name #arguments {
                type Of<'row> = #name #row;
                type Reader<'row> = (#(<#types as Field>::Cells<'row>,)*);
                const READS_VALUES: bool = false;

                fn declare(fields: &mut ::std::vec::Vec<Declaration>) {
                    #(fields.push(#declarations);)*
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
                    Ok(#name { #(#names: <#types as Field>::read(&mut reader.#indices, row),)* })
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

/// Where a field is in the value, and how it is written there.
struct Place {
    pointer: String,
    time: Option<LitStr>,
}

impl Place {
    /// What `#[field(…)]` says; the pointer is `/` and the name of the field unless it is given.
    fn of(field: &Field) -> Result<Self> {
        let name = field.ident.as_ref().map(|name| name.unraw().to_string()).unwrap_or_default();
        let mut place = Self { pointer: format!("/{name}"), time: None };
        let mut attributes = field.attrs.iter().filter(|attribute| attribute.path().is_ident("field"));
        if let Some(attribute) = attributes.next() {
            attribute.parse_args_with(|input: ParseStream<'_>| place.read(input))?;
        }
        match attributes.next() {
            Some(second) => Err(Error::new(second.span(), "a field has one #[field(…)]; separate alternatives by `|`")),
            None => Ok(place),
        }
    }

    /// `"/pointer"`, `time = "format"`, or both.
    fn read(&mut self, input: ParseStream<'_>) -> Result<()> {
        if input.peek(LitStr) {
            let pointer: LitStr = input.parse()?;
            self.pointer = pointer.value();
            if !self.pointer.split('|').all(|one| one.trim_start().starts_with('/')) {
                return Err(Error::new(pointer.span(), "expected a JSON pointer such as \"/user/name\""));
            }
            if input.is_empty() {
                return Ok(());
            }
            input.parse::<Token![,]>()?;
        }
        let key: Ident = input.parse()?;
        if key != "time" {
            return Err(Error::new(key.span(), "expected `time = \"format\"`"));
        }
        input.parse::<Token![=]>()?;
        self.time = Some(input.parse()?);
        Ok(())
    }

    fn declaration(&self, kind: &Type) -> TokenStream {
        let pointer = &self.pointer;
        match &self.time {
            Some(format) => quote_spanned!(kind.span()=> Declaration::of_time::<#kind>(#pointer, #format)),
            None => quote!(Declaration::of::<#kind>(#pointer)),
        }
    }
}
