//! The declaration of a field: `/pickup_datetime|/tpep_pickup_datetime: time?`.

use crate::time::TimeFormat;
use std::fmt;
use std::str::FromStr;

/// The type that a field is decoded to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// `bool`
    Bool,
    /// `s64`: a JSON number without fraction or exponent, in range.
    Int,
    /// `f64`: any JSON number.
    Float,
    /// `string`: a JSON string, escapes resolved.
    Text,
    /// `time`: milliseconds since 1970-01-01T00:00:00Z.
    Time(TimeFormat),
}

/// A field that a step asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldSpec {
    /// JSON pointers (RFC 6901), as their unescaped reference tokens; the first that is present and not null counts.
    pub pointers: Vec<Vec<String>>,
    /// What to decode it to.
    pub kind: FieldType,
    /// Whether a row may lack it.
    pub optional: bool,
}

impl FromStr for FieldSpec {
    type Err = String;

    fn from_str(_text: &str) -> Result<Self, String> {
        Err(String::new())
    }
}

impl fmt::Display for FieldSpec {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
