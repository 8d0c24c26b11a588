//! What a single setting can be.

use super::{Bounds, Problem, Schema, Settings, read_object};
use crate::Time;
use serde_json::Value;
use std::time::Duration;

/// A type that a setting can have. See [`Settings`](trait@Settings).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a setting",
    note = "settings are numbers, bool, String, Duration, Time, Pointer, a type with #[derive(Settings)], or an Option or \
            Vec of these"
)]
pub trait Setting: Sized {
    /// Writes its JSON Schema.
    #[doc(hidden)]
    fn schema(schema: &mut Schema, bounds: &Bounds);

    /// Reads it.
    #[doc(hidden)]
    fn read(value: &Value, bounds: &Bounds) -> Result<Self, Problem>;

    /// What it is when it is not set and has no default.
    #[doc(hidden)]
    fn absent() -> Option<Self> {
        None
    }
}

/// A setting that has a minimum and a maximum.
#[diagnostic::on_unimplemented(message = "a setting of type `{Self}` has no minimum and maximum")]
pub trait Number: Setting {}

impl<T: Number> Number for Option<T> {}
impl<T: Number> Number for Vec<T> {}

impl Bounds {
    /// The narrower of these and the bounds of a type.
    fn within(self, minimum: f64, maximum: f64) -> Self {
        Self {
            minimum: Some(self.minimum.map_or(minimum, |own| own.max(minimum)))
                .filter(|&least| least > i64::MIN as f64),
            maximum: Some(self.maximum.map_or(maximum, |own| own.min(maximum))).filter(|&most| most < i64::MAX as f64),
        }
    }

    fn holds(&self, number: f64) -> bool {
        self.minimum.is_none_or(|minimum| number >= minimum) && self.maximum.is_none_or(|maximum| number <= maximum)
    }

    /// What is expected, `kind` being "a number" or the like.
    fn expected(&self, kind: &str) -> String {
        match (self.minimum, self.maximum) {
            (None, None) => kind.to_owned(),
            (Some(minimum), None) => format!("{kind} of at least {minimum}"),
            (None, Some(maximum)) => format!("{kind} of at most {maximum}"),
            (Some(minimum), Some(maximum)) => format!("{kind} from {minimum} to {maximum}"),
        }
    }
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            fn schema(schema: &mut Schema, bounds: &Bounds) {
                schema.text("type", "integer");
                schema.bounds(&bounds.within(<$type>::MIN as f64, <$type>::MAX as f64));
            }

            fn read(value: &Value, bounds: &Bounds) -> Result<Self, Problem> {
                let bounds = bounds.within(<$type>::MIN as f64, <$type>::MAX as f64);
                let number = whole(value).and_then(|number| Self::try_from(number).ok());
                let number = number.filter(|&number| bounds.holds(number as f64));
                number.ok_or_else(|| Problem::expected(&bounds.expected("an integer"), value))
            }
        }

        impl Number for $type {}
    )*};
}

integer!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

/// An integer, also when it is written as 2.0: for JSON Schema that is one.
fn whole(value: &Value) -> Option<i128> {
    const EXACT: f64 = (1_u64 << 53) as f64;
    let float =
        || value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT).map(|float| float as i128);
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from)).or_else(float)
}

impl Setting for f64 {
    fn schema(schema: &mut Schema, bounds: &Bounds) {
        schema.text("type", "number");
        schema.bounds(bounds);
    }

    fn read(value: &Value, bounds: &Bounds) -> Result<Self, Problem> {
        let number = value.as_f64().filter(|&number| bounds.holds(number));
        number.ok_or_else(|| Problem::expected(&bounds.expected("a number"), value))
    }
}

impl Number for f64 {}

impl Setting for bool {
    fn schema(schema: &mut Schema, _bounds: &Bounds) {
        schema.text("type", "boolean");
    }

    fn read(value: &Value, _bounds: &Bounds) -> Result<Self, Problem> {
        value.as_bool().ok_or_else(|| Problem::expected("true or false", value))
    }
}

impl Setting for String {
    fn schema(schema: &mut Schema, _bounds: &Bounds) {
        schema.text("type", "string");
    }

    fn read(value: &Value, _bounds: &Bounds) -> Result<Self, Problem> {
        text(value, "a text", |text| Some(text.to_owned()))
    }
}

impl Setting for Duration {
    fn schema(schema: &mut Schema, _bounds: &Bounds) {
        schema.text("type", "string");
        schema.text("pattern", "^[0-9]+(ms|s|m|h|d)$");
    }

    fn read(value: &Value, _bounds: &Bounds) -> Result<Self, Problem> {
        text(value, "a duration such as \"500ms\", \"90s\", \"10m\", \"1h\" or \"7d\"", duration)
    }
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit())?;
    let millis = match &text[unit..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    text[..unit].parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)
}

impl Setting for Time {
    fn schema(schema: &mut Schema, _bounds: &Bounds) {
        schema.text("type", "string");
        schema.text("format", "date-time");
    }

    fn read(value: &Value, _bounds: &Bounds) -> Result<Self, Problem> {
        text(value, "a time such as \"2013-01-01T00:10:00.000Z\"", |text| text.parse().ok())
    }
}

/// Where a field is in a JSON value, such as `/user/name`; for [`pointer`](crate::Transform::pointer) of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(pub String);

impl Setting for Pointer {
    fn schema(schema: &mut Schema, _bounds: &Bounds) {
        schema.text("type", "string");
        schema.text("pattern", "^/");
    }

    fn read(value: &Value, _bounds: &Bounds) -> Result<Self, Problem> {
        let pointer = |text: &str| text.starts_with('/').then(|| Self(text.to_owned()));
        text(value, "a JSON pointer such as \"/user/name\"", pointer)
    }
}

fn text<T>(value: &Value, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Problem> {
    value.as_str().and_then(read).ok_or_else(|| Problem::expected(expected, value))
}

impl<T: Setting> Setting for Option<T> {
    fn schema(schema: &mut Schema, bounds: &Bounds) {
        T::schema(schema, bounds);
    }

    fn read(value: &Value, bounds: &Bounds) -> Result<Self, Problem> {
        T::read(value, bounds).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn schema(schema: &mut Schema, bounds: &Bounds) {
        schema.text("type", "array");
        schema.nested("items", |items| T::schema(items, bounds));
    }

    fn read(value: &Value, bounds: &Bounds) -> Result<Self, Problem> {
        let Value::Array(items) = value else { return Err(Problem::expected("a list", value)) };
        let read = |(at, item)| T::read(item, bounds).map_err(|problem| problem.within(&format!("{at}")));
        items.iter().enumerate().map(read).collect()
    }
}

impl<T: Settings> Setting for T {
    fn schema(schema: &mut Schema, _bounds: &Bounds) {
        schema.settings(T::MEMBERS);
    }

    fn read(value: &Value, _bounds: &Bounds) -> Result<Self, Problem> {
        read_object(value)
    }
}

/// Reads one of a few names, and gives its number.
#[doc(hidden)]
pub fn choice(value: &Value, names: &[&str]) -> Result<usize, Problem> {
    let chosen = value.as_str().and_then(|text| names.iter().position(|name| *name == text));
    chosen.ok_or_else(|| Problem::expected(&format!("one of {}", names.join(", ")), value))
}

/// Writes the schema of one of a few names.
#[doc(hidden)]
pub fn choice_schema(schema: &mut Schema, names: &[&str]) {
    schema.raw("enum", Value::from(names));
}
