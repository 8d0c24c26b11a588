//! `#[derive(Settings)]`: impls of `wasmill::Settings` for structs, and of `wasmill::settings::Setting` for enums.

use crate::case::kebab;
use crate::fields::named_fields;
use proc_macro2::{TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Error, Expr, Field, Fields, Ident, Lit, Meta, Result, Token, token};

pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new_spanned(parameter, "#[derive(Settings)] allows no parameters"));
    }
    match &input.data {
        Data::Enum(data) => expand_enum(&input.ident, data),
        _ => expand_struct(input),
    }
}

fn expand_struct(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let fields = named_fields(input, "Settings")?;
    let idents = fields.iter().map(|field| &field.ident);
    let numbers = 0..fields.len();
    let members = fields.iter().map(|field| member(field)).collect::<Result<Vec<_>>>()?;
    Ok(quote! {
        const _: () = {
            use ::wasmill::settings::{Bounds, Member, Members, Number, Problem, Setting, Settings};
            impl Settings for #name {
                const MEMBERS: &'static [Member] = &[#(#members),*];

                fn read(members: &Members<'_>) -> ::std::result::Result<Self, Problem> {
                    let _ = members;
                    Ok(Self { #(#idents: members.read(#numbers)?),* })
                }
            }
        };
    })
}

fn member(field: &Field) -> Result<TokenStream> {
    let Setting { default, minimum, maximum } = Setting::of(field)?;
    let name = field.ident.as_ref().map(|name| name.unraw().to_string()).unwrap_or_default();
    let (kind, description) = (&field.ty, description(field));
    let bounded = (minimum.is_some() || maximum.is_some())
        .then(|| quote_spanned!(kind.span()=> const fn number<T: Number>() {} number::<#kind>();));
    let required = default.is_none() && !is_option(field);
    let (default, minimum, maximum) = (option(default), option(minimum), option(maximum));
    Ok(quote! {
        Member {
            name: #name,
            description: #description,
            schema: <#kind as Setting>::schema,
            bounds: { #bounded Bounds { minimum: #minimum, maximum: #maximum } },
            default: #default,
            required: #required,
        }
    })
}

fn option(value: Option<impl quote::ToTokens>) -> TokenStream {
    value.map_or(quote!(::std::option::Option::None), |value| quote!(::std::option::Option::Some(#value)))
}

/// By its name: that is all a derive macro sees. Another spelling of `Option` only makes the schema stricter than the plugin.
fn is_option(field: &Field) -> bool {
    matches!(&field.ty, syn::Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

/// The doc comment, in one line.
fn description(field: &Field) -> String {
    let lines = field.attrs.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(line) => Some(line.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// What `#[setting(…)]` says.
#[derive(Default)]
struct Setting {
    /// As JSON.
    default: Option<String>,
    minimum: Option<f64>,
    maximum: Option<f64>,
}

impl Setting {
    fn of(field: &Field) -> Result<Self> {
        let mut setting = Self::default();
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("setting")) {
            attribute.parse_args_with(|input: ParseStream<'_>| setting.read(input))?;
        }
        Ok(setting)
    }

    /// `default = …, minimum = …, maximum = …`, any of them.
    fn read(&mut self, input: ParseStream<'_>) -> Result<()> {
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            if key == "default" {
                self.default = Some(json(input)?);
            } else if key == "minimum" {
                self.minimum = Some(number(input)?);
            } else if key == "maximum" {
                self.maximum = Some(number(input)?);
            } else {
                return Err(Error::new(key.span(), "expected `default`, `minimum` or `maximum`"));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }
}

fn number(input: ParseStream<'_>) -> Result<f64> {
    let span = input.span();
    let minus = input.parse::<Option<Token![-]>>()?.map_or("", |_| "-");
    let digits = match input.parse()? {
        Lit::Int(number) => number.base10_digits().to_owned(),
        Lit::Float(number) => number.base10_digits().to_owned(),
        _ => return Err(Error::new(span, "expected a number")),
    };
    format!("{minus}{digits}").parse().map_err(|error| Error::new(span, error))
}

/// A literal, `[]` or `{}`, as JSON.
fn json(input: ParseStream<'_>) -> Result<String> {
    if input.peek(token::Bracket) || input.peek(token::Brace) {
        return match input.parse()? {
            TokenTree::Group(group) if group.stream().is_empty() => Ok(group.to_string().replace(' ', "")),
            other => Err(Error::new(other.span(), "the default of a list is [], that of a struct {}")),
        };
    }
    if input.peek(syn::LitStr) {
        return Ok(quoted(&input.parse::<syn::LitStr>()?.value()));
    }
    if input.peek(syn::LitBool) {
        return Ok(input.parse::<syn::LitBool>()?.value.to_string());
    }
    let number =
        number(input).map_err(|error| Error::new(error.span(), "expected a number, a text, true, false, [] or {}"))?;
    Ok(number.to_string())
}

fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            control if control < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => json.push(plain),
        }
    }
    json + "\""
}

fn expand_enum(name: &Ident, data: &DataEnum) -> Result<TokenStream> {
    if let Some(variant) = data.variants.iter().find(|variant| !matches!(variant.fields, Fields::Unit)) {
        return Err(Error::new(
            variant.span(),
            "#[derive(Settings)] allows no contents: a setting is one of several names",
        ));
    }
    let variants: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let names: Vec<_> = variants.iter().map(|variant| kebab(&variant.unraw().to_string())).collect();
    let numbers = 0..variants.len();
    Ok(quote! {
        const _: () = {
            use ::wasmill::settings::{Bounds, Problem, Schema, Setting, Value, choice, choice_schema};
            const NAMES: &[&str] = &[#(#names),*];
            impl Setting for #name {
                fn schema(schema: &mut Schema, _bounds: &Bounds) {
                    choice_schema(schema, NAMES);
                }

                fn read(value: &Value, _bounds: &Bounds) -> ::std::result::Result<Self, Problem> {
                    match choice(value, NAMES)? {
                        #(#numbers => Ok(Self::#variants),)*
                        _ => unreachable!("`choice` gives the number of a name"),
                    }
                }
            }
        };
    })
}
