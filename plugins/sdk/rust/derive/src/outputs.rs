//! `#[derive(Outputs)]`: an impl of `wasmill::Output` for an enum with a variant for each output.

use crate::case::snake;
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Type, Variant};

pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "#[derive(Outputs)] needs an enum, with a variant for each output"));
    };
    let outputs = data.variants.iter().map(Output::of).collect::<Result<Vec<_>>>()?;
    check_names(&outputs)?;
    let main = outputs.iter().find(|output| output.name.is_none()).map(|main| &main.content);
    let main = main.map_or(quote!(Set::NONE), |content| quote!(<#content as Output>::COLUMNS));
    let sides: Vec<_> = outputs.iter().filter(|output| output.name.is_some()).collect();
    let names = sides.iter().filter_map(|side| side.name.as_ref());
    let contents = sides.iter().map(|side| &side.content);
    let all_contents = outputs.iter().map(|output| &output.content);
    let mut number = 0_usize..;
    let arms = outputs.iter().map(|output| {
        let (variant, pattern, value) = (output.variant, &output.pattern, &output.value);
        match output.name {
            None => quote!(Self::#variant #pattern => Output::write(#value, writer)),
            Some(_) => {
                let side = number.next();
                quote!(Self::#variant #pattern => writer.aside(#side, |writer| Output::write(#value, writer)))
            }
        }
    });

    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        const _: () = {
            use ::wasmill::emit::{Output, Set, Side, Writer};
            impl #generics Output for #name #arguments #bounds {
                const COLUMNS: Set = {
                    #(assert!(<#all_contents as Output>::SIDES.is_empty(), "a side output has no side outputs itself");)*
                    #main
                };
                const SIDES: &'static [Side] =
                    &[#(Side { name: #names, columns: <#contents as Output>::COLUMNS }),*];

                #[inline]
                fn write(self, writer: &mut Writer) {
                    match self { #(#arms,)* }
                }
            }
        };
    })
}

/// A variant, and what becomes of it.
struct Output<'a> {
    variant: &'a Ident,
    /// The name of the side output; `None` is the main one.
    name: Option<String>,
    span: Span,
    content: TokenStream,
    pattern: TokenStream,
    value: TokenStream,
}

impl<'a> Output<'a> {
    fn of(variant: &'a Variant) -> Result<Self> {
        let mut output = Self {
            variant: &variant.ident,
            name: Some(snake(&variant.ident.to_string())),
            span: variant.ident.span(),
            content: quote!(()),
            pattern: TokenStream::new(),
            value: quote!(()),
        };
        match &variant.fields {
            Fields::Unit => {}
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => output.hold(&fields.unnamed[0].ty),
            other => {
                return Err(Error::new(other.span(), "expected one content, as in `Late(Keyed<String>)`, or none"));
            }
        }
        for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("output")) {
            attribute.parse_args_with(|input: ParseStream<'_>| output.read(input))?;
        }
        Ok(output)
    }

    fn hold(&mut self, content: &Type) {
        self.content = quote!(#content);
        self.pattern = quote!((content));
        self.value = quote!(content);
    }

    /// `main` or `"name"`.
    fn read(&mut self, input: ParseStream<'_>) -> Result<()> {
        self.span = input.span();
        if input.peek(LitStr) {
            self.name = Some(input.parse::<LitStr>()?.value());
        } else if input.parse::<Ident>().is_ok_and(|word| word == "main") {
            self.name = None;
        } else {
            return Err(Error::new(self.span, "expected `main` or a name such as \"out-of-range\""));
        }
        Ok(())
    }
}

fn check_names(outputs: &[Output<'_>]) -> Result<()> {
    for (at, output) in outputs.iter().enumerate() {
        let twice = outputs[..at].iter().any(|earlier| earlier.name == output.name);
        let wrong = match &output.name {
            None if twice => "there is a main output already; a Vec of rows is one content",
            Some(_) if twice => "there is an output of this name already",
            Some(name) if name == "late" => "`late` is taken: the host calls late rows so; choose another name",
            Some(name) if name.is_empty() || !name.bytes().all(is_letter) => "names are letters, digits, `_` and `-`",
            _ => continue,
        };
        return Err(Error::new(output.span, wrong));
    }
    Ok(())
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}
