//! The declaration of a field: `/pickup_datetime|/tpep_pickup_datetime: time?`. Only its text; the decoder reads records.

use crate::config::strsim_best;
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
    /// `time`, `time(unix-s)`, `time(%m/%d/%Y %H:%M)`: milliseconds since 1970-01-01T00:00:00Z.
    Time(TimeFormat),
}

/// A field that a step asks for, written `POINTER[|POINTER…]: TYPE[?]`. A key that contains `|` or ends in a space
/// cannot be named.
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

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = |what: String| format!("field `{text}`: {what}");
        let (pointers, kind) = split_type(text)
            .ok_or_else(|| problem("expected `/pointer: type`, for example `/pickup_datetime: time`".to_owned()))?;
        let (kind, optional) = match kind.strip_suffix('?') {
            Some(kind) => (kind.trim_end(), true),
            None => (kind, false),
        };
        let pointers = pointers.split('|').map(parse_pointer).collect::<Result<_, _>>().map_err(problem)?;
        Ok(Self { pointers, kind: kind.parse().map_err(problem)?, optional })
    }
}

/// Cuts at the first colon that a type follows: keys may contain colons, and so may a time pattern.
fn split_type(text: &str) -> Option<(&str, &str)> {
    let colons = text.match_indices(':').map(|(at, _)| at);
    let mut cuts = colons.map(|at| (&text[..at], text[at + 1..].trim()));
    cuts.find(|(_, kind)| {
        let kind = kind.strip_suffix('?').unwrap_or(kind).trim_end();
        let name = kind.find('(').filter(|_| kind.ends_with(')')).map_or(kind, |open| &kind[..open]);
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn parse_pointer(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim();
    let Some(tokens) = text.strip_prefix('/') else {
        return Err(format!("pointer `{text}` must start with `/`"));
    };
    let unescape = |token: &str| {
        let mut parts = token.split('~');
        let mut key = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (character, rest) = match part.as_bytes().first() {
                Some(b'0') => ('~', &part[1..]),
                Some(b'1') => ('/', &part[1..]),
                _ => return Err(format!("pointer `{text}` has a lone `~`: write `~0` for `~` and `~1` for `/`")),
            };
            key.push(character);
            key.push_str(rest);
        }
        Ok(key)
    };
    tokens.split('/').map(unescape).collect()
}

impl FromStr for FieldType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bool" => return Ok(Self::Bool),
            "s64" => return Ok(Self::Int),
            "f64" => return Ok(Self::Float),
            "string" => return Ok(Self::Text),
            "time" => return Ok(Self::Time(TimeFormat::default())),
            _ => {}
        }
        if let Some(format) = text.strip_prefix("time(").and_then(|rest| rest.strip_suffix(')')) {
            return Ok(Self::Time(format.trim().parse()?));
        }
        let meant = strsim_best(text, FOREIGN.iter().map(|(name, _)| *name));
        let meant = meant.and_then(|best| FOREIGN.iter().find(|(name, _)| *name == best));
        Err(match meant {
            Some((_, ours)) => format!("unknown type `{text}`: did you mean `{ours}`?"),
            None => format!("unknown type `{text}`: expected `bool`, `s64`, `f64`, `string` or `time`"),
        })
    }
}

/// What the types are called, here and elsewhere.
const FOREIGN: [(&str, &str); 21] = [
    ("bool", "bool"),
    ("boolean", "bool"),
    ("s64", "s64"),
    ("i64", "s64"),
    ("u64", "s64"),
    ("int", "s64"),
    ("int64", "s64"),
    ("integer", "s64"),
    ("long", "s64"),
    ("f64", "f64"),
    ("f32", "f64"),
    ("float", "f64"),
    ("double", "f64"),
    ("number", "f64"),
    ("string", "string"),
    ("str", "string"),
    ("text", "string"),
    ("time", "time"),
    ("timestamp", "time"),
    ("datetime", "time"),
    ("date", "time"),
];

impl fmt::Display for FieldSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, pointer) in self.pointers.iter().enumerate() {
            if nth > 0 {
                f.write_str("|")?;
            }
            for token in pointer {
                write!(f, "/{}", token.replace('~', "~0").replace('/', "~1"))?;
            }
        }
        write!(f, ": {}{}", self.kind, if self.optional { "?" } else { "" })
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("s64"),
            Self::Float => f.write_str("f64"),
            Self::Text => f.write_str("string"),
            Self::Time(TimeFormat::Iso8601) => f.write_str("time"),
            Self::Time(format) => write!(f, "time({format})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    /// Alternatives, escapes, nesting, the optional mark and time formats all read as declared.
    #[test]
    fn grammar() {
        let spec: FieldSpec = "/a/b~1c~0|/other: time?".parse().expect("valid");
        assert_eq!(spec.pointers, [vec!["a", "b/c~"], vec!["other"]]);
        assert_eq!((spec.kind, spec.optional), (FieldType::Time(TimeFormat::Iso8601), true));
        let spec: FieldSpec = "/ns:at | /: time( %H:%M:%S %Y-%m-%d ) ?".parse().expect("valid");
        assert_eq!(spec.pointers, [["ns:at"], [""]]);
        assert_eq!(spec.kind, FieldType::Time(TimeFormat::Pattern("%H:%M:%S %Y-%m-%d".into())));
        assert!(spec.optional);
    }

    /// Each mistake is named together with the field, and a near-miss with what was meant.
    #[test]
    fn mistakes() {
        for (text, expected) in [
            ("/a", "expected `/pointer: type`"),
            ("", "expected `/pointer: type`"),
            ("/a:", "expected `/pointer: type`"),
            ("a: s64", "`a` must start with `/`"),
            (": s64", "`` must start with `/`"),
            ("/a|b: s64", "`b` must start with `/`"),
            ("/a~2: s64", "lone `~`"),
            ("/a~: s64", "lone `~`"),
            ("/a: i64", "did you mean `s64`?"),
            ("/a: Boolean", "did you mean `bool`?"),
            ("/a: strng", "did you mean `string`?"),
            ("/a: timestamp", "did you mean `time`?"),
            ("/a: blob", "expected `bool`, `s64`, `f64`, `string` or `time`"),
            ("/a: time(unix)", "`unix-s`"),
            ("/a: time(%H)", "time pattern `%H`"),
        ] {
            let error = text.parse::<FieldSpec>().expect_err(text);
            assert!(error.starts_with(&format!("field `{text}`: ")) && error.contains(expected), "{error}");
        }
    }

    fn kinds() -> impl Strategy<Value = FieldType> {
        prop_oneof![
            Just(FieldType::Bool),
            Just(FieldType::Int),
            Just(FieldType::Float),
            Just(FieldType::Text),
            Just(FieldType::Time(TimeFormat::Iso8601)),
            Just(FieldType::Time(TimeFormat::UnixMillis)),
            Just(FieldType::Time(TimeFormat::Pattern("%m/%d/%Y %H:%M".into()))),
        ]
    }

    proptest! {
        /// Every declaration prints as text that reads back as the same declaration.
        #[test]
        fn print_then_parse(
            pointers in proptest::collection::vec(proptest::collection::vec("[ a:~/\"é]{0,4}[a:~/\"é]", 1..4), 1..4),
            kind in kinds(),
            optional in any::<bool>(),
        ) {
            let spec = FieldSpec { pointers, kind, optional };
            prop_assert_eq!(spec.to_string().parse(), Ok(spec));
        }
    }
}
